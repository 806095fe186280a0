import type { EventEmitter } from 'node:events';
import type { Server } from 'socket.io';
import { engineOf, type EngineConnection } from '../engine-internals/engine-connection.js';
import { PollingReader } from '../engine-internals/polling-reader.js';
import { CodedWebSocket } from '../engine-internals/web-socket-server.js';
import { InboundBudget } from './inbound-budget.js';
import type { InboundControl } from './inbound-control.js';

/** The key under which an Engine.IO connection refers to its budget. */
const budget = Symbol('inbound budget');

type Budgeted = EngineConnection & { [budget]?: InboundBudget };

/** The budget of a connection. */
export function inboundOf(engine: EngineConnection): InboundBudget | undefined {
  return (engine as Budgeted)[budget];
}

/** Sets the budget of a connection. */
function setInbound(engine: EngineConnection, made: InboundBudget): void {
  (engine as Budgeted)[budget] = made;
  made.engine = engine;
}

/** Gives every transport of a server its budget, and tells the budget when a client has joined a namespace on it. */
export function applyBudgets(io: Server, control: InboundControl): void {
  io.engine.on('connection', (engine: Budgeted & EventEmitter) => {
    const { transport } = engine;
    const socket = transport.socket as unknown;
    if (transport.name === 'polling') applyToPolling(engine, control);
    else if (socket instanceof CodedWebSocket && socket.admission instanceof InboundBudget)
      setInbound(engine, socket.admission);
  });
  const onJoined = (socket: Parameters<typeof engineOf>[0]) => inboundOf(engineOf(socket))?.joined();
  io.on('connection', onJoined);
  io.on('new_namespace', (namespace) => namespace.on('connection', onJoined));
}

function applyToPolling(engine: Budgeted & EventEmitter, control: InboundControl): void {
  const { transport } = engine;
  const reader = new PollingReader(
    transport as unknown as ConstructorParameters<typeof PollingReader>[0],
    () => made,
  );
  const made = control.newBudget(reader, 'socketio');
  setInbound(engine, made);
  engine.once('upgrade', ({ socket }: { readonly socket?: unknown }) => {
    if (!(socket instanceof CodedWebSocket)) return;
    socket.admission = made;
    made.useReader(socket);
  });
}
