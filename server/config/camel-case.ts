/** The name of a setting as the code has it: `user_rps` is `userRps`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
