import { ClusterOperations } from '../admin/cluster-operations.js';
import { ReplicaCalls } from '../cluster/replica-calls.js';
import { ReplicatedMap } from '../cluster/replicated-map.js';
import type { Settings } from '../config/schema.js';
import { UserLimits } from '../control/user-limits.js';
import { ControlState } from '../control/control-state.js';
import type { LoggerFactory } from '../logging/logger.js';
import { systemClock } from '../primitives/clock.js';
import type { Storage } from '../storage/storage.js';

interface ControlParts {
  readonly settings: Settings;
  readonly storage: Storage;
  readonly logger: LoggerFactory;
}

/** The runtime control, shared by all replicas, and the operations that all replicas answer. */
export interface Control {
  readonly map: ReplicatedMap;
  readonly state: ControlState;
  /** Limits for single users. */
  readonly userLimits: UserLimits;
  readonly cluster: ClusterOperations;
  /** Calls from one replica to another. */
  readonly calls: ReplicaCalls;
}

/** A replica that misses the message about a change finds the change within this time, in milliseconds. */
const controlCheckMs = 500;

/** Assembles the runtime control. */
export function assembleControl({ settings, storage, logger }: ControlParts): Control {
  const { shared: store, bus } = storage;
  const map = new ReplicatedMap(
    { store, bus, log: logger.log('emergency') },
    { name: 'control', checkMs: controlCheckMs },
  );
  storage.onUp(() => void map.read());
  const calls = new ReplicaCalls(bus, { timeoutMs: settings.admin.callTimeoutMs });
  return {
    map,
    userLimits: new UserLimits({ map, clock: systemClock }),
    state: new ControlState(map, { rates: settings.limits }),
    cluster: new ClusterOperations(calls),
    calls,
  };
}
