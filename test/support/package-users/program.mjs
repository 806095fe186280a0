// A program of a user: starts the service, subscribes, publishes, prints what arrives, and ends by itself.
import { loadSettings, RefusalError, Service } from 'realtime-communication';
import { io } from 'socket.io-client';
import { run } from './scenario.cjs';

await run({ loadSettings, RefusalError, Service, io });
