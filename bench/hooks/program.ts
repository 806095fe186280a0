import { loadSettings, Service } from '../../server/index.js';
import { onPublish } from './burn.js';

/** A program with the slow hook in its own thread; without `BURN_MS` it has none. */
const hooks = process.env['BURN_MS'] === undefined ? {} : { onPublish };

void new Service(loadSettings(process.env), { hooks }).start().then(() => process.send!('ready'));
