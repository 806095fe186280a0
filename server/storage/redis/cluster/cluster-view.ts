import type { RedisHost } from '../../../config/redis-url.js';

/** A node of a Redis Cluster, as another one sees it. */
export interface ClusterNode extends RedisHost {
  /** By the IP address; the host may be a name. */
  readonly alias: string;
  readonly isPrimary: boolean;
  /** It has failed, or is not known yet: it has no place in the cluster unless it has slots. */
  readonly isAbsent: boolean;
  /** Grows with every failover and every move of a slot. Two nodes that claim a slot differ in it. */
  readonly configEpoch: number;
  /** First and last of each range of slots. */
  readonly slots: readonly (readonly [first: number, last: number])[];
}

/** How one node sees the cluster. */
export type ClusterView = readonly ClusterNode[];

/** `<host>:<port>@<bus port>,<host name>`; the host may be missing: then it is the one that was asked. */
const addressForm = /^(?<host>.*):(?<port>\d+)(?:@\d+)?(?:,(?<name>[^,]*))?/;

/** Reads the answer of `CLUSTER NODES`. `asked`: the host that gave it. */
export function readClusterNodes(text: string, asked: string): ClusterView {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line): ClusterNode[] => {
      const [, address = '', flags = '', , , , configEpoch, , ...ranges] = line.split(' ');
      const { host = '', port, name = '' } = addressForm.exec(address)?.groups ?? {};
      const words = flags.split(',');
      if (port === undefined || words.includes('noaddr')) return [];
      return [
        {
          // A name is announced for clients only: certificates may have it.
          host: name !== '' ? name : host !== '' ? host : asked,
          port: Number(port),
          alias: addressOf({ host: host !== '' ? host : asked, port: Number(port) }),
          isPrimary: words.includes('master'),
          isAbsent: words.includes('fail') || words.includes('handshake'),
          configEpoch: Number(configEpoch),
          slots: ranges.flatMap(readRange),
        },
      ];
    });
}

/** A slot that is being moved is written as `[93->-…]` beside the others: it has not moved yet. */
function readRange(text: string): [number, number][] {
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  return first === undefined ? [] : [[Number(first), Number(last)]];
}

/** A node by its address, as keys of maps. */
export function addressOf({ host, port }: RedisHost): string {
  return `${host}:${port}`;
}
