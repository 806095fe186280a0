import './node-check.js';

// Source maps apply only to what is loaded later.
process.setSourceMapsEnabled(true);
