const { createClient } = require('realtime-communication/client');
const { ConnectionMonitor } = require('realtime-communication/client/guide');
const { createOutbox } = require('realtime-communication/client/outbox');
const { savedState } = require('realtime-communication/client/state');
const { sharedConnection } = require('realtime-communication/client/tabs');
const { run } = require('./client-scenario.cjs');

void run({ createClient, ConnectionMonitor, createOutbox, savedState, sharedConnection });
