const { createClient } = require('realtime-communication/client');
const { run } = require('./client-scenario.cjs');

void run(createClient);
