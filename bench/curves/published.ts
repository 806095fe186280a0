import type { SideName } from '../processes.js';
import type { Point } from './point.js';

/** A published figure: processor time per delivery of one side, as a part of that of another one, at one load. */
export interface PublishedFigure {
  readonly work: string;
  readonly load: number;
  readonly side: SideName;
  readonly against: SideName;
  readonly ratio: number;
  /** The measured ratio may differ by this part of the published one, in both directions. */
  readonly tolerance: number;
  /** The processor on which it was measured, as it calls itself. */
  readonly processor: string;
}

/** A figure beside what was measured now. */
export interface Comparison {
  readonly figure: PublishedFigure;
  /** Undefined: one of its points could not be measured. */
  readonly measured: number | undefined;
  readonly hasDrifted: boolean;
}

/**
 * Compares the published figures with new points. Ratios of sides that alternated in one run are compared, because absolute
 * figures belong to their machine.
 */
export function comparePublished(
  figures: readonly PublishedFigure[],
  points: readonly Point[],
): Comparison[] {
  return figures.map((figure) => {
    const cpuOf = (side: SideName) =>
      points.find((one) => one.work === figure.work && one.load === figure.load && one.side === side)
        ?.cpuPerDeliveryUs;
    const [ours, theirs] = [cpuOf(figure.side), cpuOf(figure.against)];
    if (ours === undefined || theirs === undefined) return { figure, measured: undefined, hasDrifted: true };
    const measured = ours / theirs;
    const drift = measured / figure.ratio - 1;
    return { figure, measured, hasDrifted: !(Math.abs(drift) <= figure.tolerance) };
  });
}

/**
 * Why figures can differ although the code is the same: ratios too depend on the processor, because the sides do different things
 * with it. One line for each other processor.
 */
export function otherProcessors(figures: readonly PublishedFigure[], processor: string): string[] {
  const others = new Set(figures.map((figure) => figure.processor).filter((one) => one !== processor));
  return [...others].map((other) => `inexact: figures were published of ${other}, this is ${processor}`);
}

/** One line for each figure. */
export function describeComparison({ figure, measured, hasDrifted }: Comparison): string {
  const { work, load, side, against, ratio, tolerance } = figure;
  const what = `${work} at ${load}/s, ${side} against ${against}`;
  if (measured === undefined) return `${what}: published ${ratio}, not measured`;
  const drift = Math.round((measured / ratio - 1) * 100);
  const allowed = Math.round(tolerance * 100);
  return `${what}: published ${ratio}, measured ${measured.toFixed(3)} (${drift > 0 ? '+' : ''}${drift} %, allowed ${allowed} %)${hasDrifted ? ' DRIFTED' : ''}`;
}
