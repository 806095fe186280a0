import { RefusalError } from '../../shared/errors.js';

/** Some clients write letters of two bytes as six characters: `\u00e9`. */
const escapedTimes = 3;
/** Bytes for topic, key, token and the other fields of a request, and for the hundred topics that one may name. */
const envelopeBytes = 32_768;
/** Bytes of the position of a topic: 200 characters of its name, and an epoch and a sequence of this service. */
const positionBytes = 256;

interface RequestSizesSettings {
  readonly maxMessageBytes: number;
  readonly maxTopicsPerConnection: number;
}

/**
 * How long the text of a request may be. It is known before the text is read, and what is too long is not read: only a message has a
 * large content, and the longest other request has one position for each topic that a connection may have.
 */
export class RequestSizes {
  /** Of a request without a payload. */
  readonly short: number;
  /** Of a request with a payload. */
  readonly withPayload: number;

  constructor(
    private readonly dependencies: { readonly carriesPayload: (command: string) => boolean },
    { maxMessageBytes, maxTopicsPerConnection }: RequestSizesSettings,
  ) {
    this.short = envelopeBytes + positionBytes * maxTopicsPerConnection;
    this.withPayload = envelopeBytes + escapedTimes * maxMessageBytes;
  }

  /** No request up to this size is refused. */
  get least(): number {
    return Math.min(this.short, this.withPayload);
  }

  /** The refusal of a request by its size, if it is too large. */
  refusalOf(command: string, bytes: number): RefusalError | undefined {
    const limit = this.dependencies.carriesPayload(command) ? this.withPayload : this.short;
    if (bytes <= limit) return undefined;
    return new RefusalError(
      'message_too_large',
      `${command}: the request has ${bytes} bytes; it may have ${limit}`,
      {
        limit,
        size: bytes,
      },
    );
  }
}
