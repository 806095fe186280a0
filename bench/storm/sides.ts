import type { SideName } from '../processes.js';
import type { Comeback } from './storm-client.js';

/** A side of the storm. */
export interface StormSide {
  /** Short name, for `--side`. */
  readonly name: string;
  readonly title: string;
  readonly side: SideName;
  /** Settings that are not the defaults. */
  readonly env: Readonly<Record<string, string>>;
  readonly comeback: Comeback;
}

/** Every side, in the order of the report. */
export const stormSides: readonly StormSide[] = [
  {
    name: 'rtc',
    title: 'this service',
    side: 'rtc',
    // As plain Socket.IO, which has neither of these limits.
    env: { RTC_WEBSOCKET_HANDSHAKES_PER_SEC: '0', RTC_WEBSOCKET_MAX_UNJOINED: '0' },
    comeback: 'session',
  },
  {
    name: 'rtc-paced',
    title: 'this service, 500 handshakes/s each (default)',
    side: 'rtc',
    env: {},
    comeback: 'session',
  },
  {
    name: 'plain',
    title: 'Socket.IO + Redis adapter, no sessions',
    side: 'plain',
    env: {},
    comeback: 'subscribe',
  },
];
