/** An object of a program with a getter, and a proxy, that give one value for so many reads, and another one afterwards. */
export function changing(reads: () => number, first: unknown, later: unknown): object {
  const next = () => {
    let read = 0;
    return () => (read++ < reads() ? first : later);
  };
  const [getter, proxied] = [next(), next()];
  return {
    get value() {
      return getter();
    },
    proxy: new Proxy(
      { value: 1 },
      { get: (target, key) => (key === 'value' ? proxied() : Reflect.get(target, key)) },
    ),
  };
}
