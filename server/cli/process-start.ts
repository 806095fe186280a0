import './node-check.js';
import { mapStacks } from './source-maps.js';

mapStacks();
