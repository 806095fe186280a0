// The same as program.mjs, in CommonJS.
const { loadSettings, RefusalError, Service } = require('realtime-communication');
const { io } = require('socket.io-client');
const { run } = require('./scenario.cjs');

void run({ loadSettings, RefusalError, Service, io });
