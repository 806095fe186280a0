import type { Log } from '../logging/log.js';
import type { MessageTracer } from './message-tracer.js';
import type { SpanExport, SpanExportCounts, SpanExportSettings } from './span-export.js';

interface CollectorExportDependencies {
  readonly tracer: MessageTracer;
  readonly log: Log;
  readonly monotonicNow: () => number;
}

/** Exports traces where the settings name a collector. OpenTelemetry is loaded only then: it is large. */
export class CollectorExport {
  private exporting: SpanExport | undefined;

  constructor(
    private readonly dependencies: CollectorExportDependencies,
    private readonly settings: Omit<SpanExportSettings, 'endpoint'> & {
      readonly endpoint: string | undefined;
    },
  ) {}

  get counts(): SpanExportCounts {
    return this.exporting?.counts ?? { exported: 0, failed: 0 };
  }

  async open(): Promise<void> {
    const { endpoint, ...settings } = this.settings;
    if (endpoint === undefined) return;
    const { tracer, ...dependencies } = this.dependencies;
    const { SpanExport } = await import('./span-export.js');
    this.exporting = new SpanExport(dependencies, { ...settings, endpoint });
    tracer.exportTo(this.exporting);
  }

  /** Exports the spans that are not exported yet. */
  async close(): Promise<void> {
    await this.exporting?.close();
  }
}
