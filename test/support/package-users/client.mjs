import { createClient } from 'realtime-communication/client';
import { run } from './client-scenario.cjs';

await run(createClient);
