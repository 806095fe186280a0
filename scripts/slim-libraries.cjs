// A plugin of Vite that leaves out what the console does not use of its libraries. The build fails where another version of a
// library has other files or other functions.

/**
 * Functions of uPlot that cannot run in a chart without axes, legend, cursor, selection and points, and what their calls are given
 * instead. Whatever only they use goes with them.
 */
const uplotUnused = {
  // Axes: `axes: [{ show: false }, …]`.
  initAxis: '',
  syncFontSize: '',
  axesCalc: 'return true;',
  drawAxesGrid: '',
  genTimeStuffs: 'return [[], [], () => undefined];',
  timeAxisVals: '',
  timeAxisStamps: '',
  // Legend: `legend: { show: false }`. It alone formats values.
  initLegendRow: '',
  setLegend: '',
  timeSeriesVal: '',
  timeSeriesStamp: '',
  numSeriesVal: '',
  // Cursor and selection: `cursor: { show: false }`.
  initCursorPt: '',
  updateCursor: '',
  cacheMouse: '',
  mouseMove: '',
  mouseDown: '',
  mouseUp: '',
  mouseLeave: '',
  dblClick: '',
  syncRect: '',
  setSelect: '',
  cursorPointShow: '',
  filtBtn0: '',
  filtTarg: '',
  // Points: `points: { show: false }`.
  points: '',
  // Series and bands that come and go, and their focus.
  addSeries: '',
  delSeries: '',
  setSeries: '',
  addBand: '',
  delBand: '',
  clipBandLine: '',
  // Scales that are not linear, and those without a range of their own.
  rangeLog: '',
  rangeAsinh: '',
};

/** Puts the given bodies in the place of those of functions; calls `miss` with each name that is not found once. */
function withBodies(code, program, bodies, miss) {
  const found = new Map();
  const visit = (node) => {
    if (node === null || typeof node !== 'object') return;
    if (Array.isArray(node)) return node.forEach(visit);
    if (node.type === 'FunctionDeclaration' && Object.hasOwn(bodies, node.id.name))
      found.set(node.id.name, [...(found.get(node.id.name) ?? []), node.body]);
    for (const value of Object.values(node)) visit(value);
  };
  visit(program);
  for (const name of Object.keys(bodies)) if (found.get(name)?.length !== 1) miss(name);
  return [...found]
    .flatMap(([name, all]) => all.map(({ start, end }) => ({ start, end, body: bodies[name] })))
    .sort((one, other) => other.start - one.start)
    .reduce((text, { start, end, body }) => `${text.slice(0, start)}{ ${body} }${text.slice(end)}`, code);
}

/** @returns {import('vite').Plugin} */
exports.slimLibraries = () => {
  const found = new Set();
  return {
    name: 'slim-libraries',
    /** Of the transports, WebSocket alone. */
    load(id) {
      if (!id.endsWith('/engine.io-client/build/esm/transports/index.js')) return null;
      found.add('transports');
      return "import { WS } from './websocket.js';\nexport const transports = { websocket: WS };\n";
    },
    /** Of the charts, lines alone: what uPlot hangs on its constructor for other charts keeps all of it alive. */
    transform(code, id) {
      if (!id.endsWith('/uplot/dist/uPlot.esm.js')) return null;
      const lines = code.replace(/^uPlot\.assign = assign;[^]*?(?=^export \{ uPlot as default \};)/m, '');
      if (lines !== code) found.add('charts');
      const slim = withBodies(lines, this.parse(lines), uplotUnused, (name) =>
        this.error(`scripts/slim-libraries.cjs: uPlot has not one function ${name}`),
      );
      return { code: slim, map: null };
    },
    buildEnd(error) {
      if (error !== undefined) return;
      for (const part of ['transports', 'charts'])
        if (!found.has(part)) this.error(`scripts/slim-libraries.cjs: there are no ${part} to leave out`);
    },
  };
};
