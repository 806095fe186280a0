import type { Random } from '../../seeded-random.js';
import type { OpenWire, Wire, WireAnswer, WireHandlers, WireOpening } from '../clients/wire.js';

/** Breaches of promises that can be planted between the service and the clients, to see that the checker finds them. */
export const breachNames = ['reorder', 'drop', 'double', 'early-ack', 'no-fence'] as const;
export type BreachName = (typeof breachNames)[number];

/** One of so many messages, or publishes, is touched. */
const oneOf = 60;

type Data = Record<string, unknown>;

/** What a breach does to a wire; by default nothing. */
interface Breach {
  onMessage?(data: Data, pass: (data: Data) => void): void;
  onEvent?(event: string, data: Data): Data | undefined;
  call?(wire: Wire, command: string, request: Data): Promise<WireAnswer | undefined>;
}

/** Opens wires that break a promise now and then, as a faulty service would. Each run needs its own. */
export function withBreach(name: BreachName, openWire: OpenWire, random: Random): OpenWire {
  const perWire = breaches[name](random);
  return (kind, opening: WireOpening, handlers: WireHandlers) => {
    const breach = perWire();
    const wire = openWire(kind, opening, {
      onEnd: (reason) => handlers.onEnd(reason),
      onEvent: (event, given, acknowledge) => {
        const data = breach.onEvent === undefined ? given : breach.onEvent(event, given);
        if (data === undefined) return;
        const pass = (one: Data) => handlers.onEvent(event, one, acknowledge);
        if (event === 'message' && breach.onMessage !== undefined) breach.onMessage(data, pass);
        else pass(data);
      },
    });
    if (breach.call === undefined) return wire;
    const call = breach.call.bind(breach);
    return {
      call: (command, request) => call(wire, command, request),
      pauseReading: (forMs) => wire.pauseReading(forMs),
      abort: () => wire.abort(),
    };
  };
}

/** For each breach, what makes it for one run, and then for each wire. */
const breaches: Record<BreachName, (random: Random) => () => Breach> = {
  drop: (random) => () => ({
    onMessage: (data, pass) => {
      if (random(oneOf) !== 0) pass(data);
    },
  }),
  double: (random) => () => ({
    onMessage: (data, pass) => {
      pass(data);
      if (random(oneOf) === 0) pass(data);
    },
  }),
  reorder: (random) => () => {
    let late: Data | undefined;
    return {
      onMessage: (data, pass) => {
        if (late === undefined && random(oneOf) === 0) {
          late = data;
          return;
        }
        pass(data);
        if (late === undefined || late['topic'] !== data['topic']) return;
        const first = late;
        late = undefined;
        pass(first);
      },
    };
  },
  /** Some publishes are acknowledged at the next position and never reach the service. */
  'early-ack': (random) => {
    const ends = new Map<unknown, { epoch: string; sequence: number }>();
    let count = 0;
    return () => ({
      call: async (wire, command, request) => {
        const end = ends.get(request['topic']);
        if (command === 'publish' && end !== undefined && random(oneOf) === 0)
          return {
            ok: true,
            id: `early-${++count}`,
            ...end,
            sequence: end.sequence + 1,
            durability: 'stored',
          };
        const answer = await wire.call(command, request);
        const { epoch, sequence } = answer ?? {};
        if (command === 'publish' && epoch !== undefined && sequence !== undefined)
          ends.set(request['topic'], { epoch, sequence });
        return answer;
      },
    });
  },
  'no-fence': () => {
    const first = new Map<string, string>();
    return () => unfenced(first);
  },
};

/** Every log keeps the name of its first epoch, and nobody is notified of a loss. */
function unfenced(first: Map<string, string>): Breach {
  const renamed = (topic: unknown, data: Data): Data => {
    const { epoch } = data;
    if (typeof topic !== 'string' || typeof epoch !== 'string') return data;
    if (!first.has(topic)) first.set(topic, epoch);
    return { ...data, epoch: first.get(topic) };
  };
  const renamedAll = (items: unknown): unknown =>
    Array.isArray(items)
      ? items.map((item: Data) => {
          const { recovered, ...rest } = renamed(item['topic'], item);
          return { ...rest, ...(recovered !== undefined && { recovered: true }) };
        })
      : items;
  return {
    onEvent: (event, data) => {
      if (event === 'gap') return undefined;
      const details = data['details'] as Data | undefined;
      if (event !== 'status' || details === undefined) return renamed(data['topic'], data);
      return { ...data, details: { ...details, topics: renamedAll(details['topics']) } };
    },
    call: async (wire, command, request) => {
      const answer = await wire.call(command, request);
      if (answer?.ok !== true) return answer;
      const { topics, messages, ...rest } = renamed(request['topic'], answer);
      return {
        ...rest,
        ok: true,
        ...(topics !== undefined && { topics: renamedAll(topics) }),
        ...(messages !== undefined && { messages: renamedAll(messages) }),
      };
    },
  };
}
