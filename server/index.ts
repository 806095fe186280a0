/** For programs that embed the service. */
export { Service } from './app/service.js';
export type { StopOptions } from './app/life-cycle.js';
export type { DrainCounts } from './gateway/drain/drain-counts.js';
export type { ServiceOptions } from './app/service-options.js';
export type {
  ProgramPublishOptions,
  ProgramSubscribeOptions,
  ProgramSubscription,
} from './app/program-api.js';
export type { PublishAnswer } from './commands/publish.js';
export type { DirectAnswer } from './direct/direct-sender.js';
export type { SocketIoOptions } from './gateway/socketio/socketio-options.js';
export type { Position } from '../shared/position.js';
export type { ConnectEvent, DisconnectEvent, Hooks, PublishEvent, SubscribeEvent } from './hooks/hooks.js';
export { loadSettings, SettingsError } from './config/load.js';
export type { Settings } from './config/schema.js';
export type { NamespaceMiddleware } from './gateway/engine-internals/namespace-middleware.js';
export type { SocketUser } from './gateway/socket-user.js';
export { roomOf } from './gateway/connection-registry.js';
export { RefusalError, errorTable, type ErrorCode } from '../shared/errors.js';
export type { Message } from '../shared/message.js';
