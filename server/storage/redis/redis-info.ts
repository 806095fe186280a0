/** Reads a field of the answer of `INFO`; undefined if it has none. */
export function infoFields(info: string): (name: string) => string | undefined {
  const fields = new Map<string, string>();
  for (const line of info.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return (name) => fields.get(name);
}
