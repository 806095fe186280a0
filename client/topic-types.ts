/** The names that a pattern stands for: `orders.*` for any name that begins with `orders.`. */
type NamesOf<Pattern extends string> = Pattern extends `${infer Before}*${infer After}`
  ? `${Before}${string}${NamesOf<After>}`
  : Pattern;

/** Names of topics with a known payload. */
export type TopicNames<Topics> = NamesOf<keyof Topics & string>;

/** The payload of a topic: that of its own name, else that of the patterns that it matches. */
export type PayloadOf<Topics, Name extends string> = Name extends keyof Topics
  ? Topics[Name]
  : {
      [Pattern in keyof Topics & string]: Name extends NamesOf<Pattern> ? Topics[Pattern] : never;
    }[keyof Topics & string];

/** What may be published to each of the topics that a name may stand for. */
export type PublishableOf<Topics, Name extends string> = (
  Name extends unknown ? (payload: PayloadOf<Topics, Name>) => void : never
) extends (payload: infer Payload) => void
  ? Payload
  : never;
