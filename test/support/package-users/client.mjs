import { createClient } from 'realtime-communication/client';
import { ConnectionMonitor } from 'realtime-communication/client/guide';
import { createOutbox } from 'realtime-communication/client/outbox';
import { savedState } from 'realtime-communication/client/state';
import { sharedConnection } from 'realtime-communication/client/tabs';
import { run } from './client-scenario.cjs';

await run({ createClient, ConnectionMonitor, createOutbox, savedState, sharedConnection });
