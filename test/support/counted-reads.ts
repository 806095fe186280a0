/** An object that counts how many of its values are read, for tests of what is not to be walked. */
export function counted<Value extends object>(
  target: Value,
): { readonly value: Value; readonly reads: () => number } {
  let reads = 0;
  const value = new Proxy(target, {
    get(object, key) {
      reads++;
      return Reflect.get(object, key) as unknown;
    },
  });
  return { value, reads: () => reads };
}
