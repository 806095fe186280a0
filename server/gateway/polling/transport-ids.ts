import { createHmac, hkdfSync, randomBytes, randomFillSync, timingSafeEqual } from 'node:crypto';

/** Bytes of the parts of an id: 15 in all, so that it has 20 characters, as engine.io's own ids and the sticky modules of PM2 have. */
const tagBytes = 4;
const randomPartBytes = 5;
const signatureBytes = 6;
const idBytes = tagBytes + randomPartBytes + signatureBytes;

/** Random parts that are made at once: one call of the generator costs as much as the rest of an id. */
const partsAtOnce = 256;

/** The part of a replica's id that differs for each process. */
const processPart = /~([0-9a-f]{8})$/;

/**
 * The ids of transports, which name the replica that holds the transport and are signed: other replicas can find it, and recognise an invented
 * id without asking anybody. Whoever does not know the key can guess neither the random part nor the signature: 88 bits, as of the ids of
 * engine.io.
 */
export class TransportIds {
  /** The tag of this replica. */
  readonly tag: string;
  private key: Buffer;
  private readonly randomParts = Buffer.alloc(randomPartBytes * partsAtOnce);
  /** What comes after this is used. */
  private unusedBytes = 0;

  /** @param secret the same on all replicas; undefined as long as it is not known: then other replicas take the ids for invented ones */
  constructor(secret: string | undefined, settings: { readonly replicaId: string }) {
    this.key = secret === undefined ? randomBytes(32) : keyOf(secret);
    this.tag = tagOf(settings.replicaId) ?? '00000000';
  }

  setSecret(secret: string): void {
    this.key = keyOf(secret);
  }

  /** A new id. @param isTaken whether a transport has it already */
  newId(isTaken: (id: string) => boolean): string {
    for (;;) {
      const named = Buffer.concat([Buffer.from(this.tag, 'hex'), this.randomPart()]);
      const id = Buffer.concat([named, this.signature(named)]).toString('base64url');
      if (!isTaken(id)) return id;
    }
  }

  /** The tag of the replica that has made an id; undefined if none has: the id is invented, or of a replica of an earlier release. */
  tagIn(id: string): string | undefined {
    const bytes = Buffer.from(id, 'base64url');
    if (bytes.length !== idBytes || bytes.toString('base64url') !== id) return undefined;
    const named = bytes.subarray(0, tagBytes + randomPartBytes);
    if (!timingSafeEqual(this.signature(named), bytes.subarray(named.length))) return undefined;
    return named.toString('hex', 0, tagBytes);
  }

  private randomPart(): Buffer {
    if (this.unusedBytes === 0) this.unusedBytes = randomFillSync(this.randomParts).length;
    this.unusedBytes -= randomPartBytes;
    return this.randomParts.subarray(this.unusedBytes, this.unusedBytes + randomPartBytes);
  }

  private signature(named: Buffer): Buffer {
    return createHmac('sha256', this.key).update(named).digest().subarray(0, signatureBytes);
  }
}

/** The tag of a replica in ids of transports, from its id; undefined for a replica of version 0.1. */
export function tagOf(replicaId: string): string | undefined {
  return processPart.exec(replicaId)?.[1];
}

function keyOf(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'rtc transport id', 32));
}
