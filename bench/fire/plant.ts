/** A fault of delivery that the check of a run must find. */
export const plants = ['loss', 'double', 'disorder'] as const;
export type Plant = (typeof plants)[number];

/** The number of the message at which it happens. */
const plantedAt = 3;

/** Passes on what a client receives, with the fault in it. */
export function plantIn(plant: Plant, receive: (n: number) => void): (n: number) => void {
  let held: number | undefined;
  return (n) => {
    if (n === plantedAt && plant !== 'double') {
      if (plant === 'disorder') held = n;
      return;
    }
    receive(n);
    if (n === plantedAt) receive(n);
    if (held !== undefined) receive(held);
    held = undefined;
  };
}
