// Checks the files that deploy the service, without Docker, Helm or a cluster: rendered manifests against the schemas of Kubernetes, YAML
// files that parse, values against the schema of the chart. Part of `npm run lint`.
const { readdirSync, readFileSync } = require('node:fs');
const { join, relative } = require('node:path');
const Ajv = require('ajv/dist/2020').default;
const { parse, parseAllDocuments } = require('yaml');

const root = join(__dirname, '..');
const helm = join(root, 'docker', 'helm');
const chart = join(helm, 'realtime-communication');

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Checks objects of Kubernetes. An unknown field is an error, and so is a kind without a schema. */
function manifestCheck() {
  const ajv = new Ajv({ strict: false, allErrors: true });
  for (const format of ['int32', 'int64'])
    ajv.addFormat(format, { type: 'number', validate: Number.isInteger });
  ajv.addFormat('byte', /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/);
  ajv.addFormat('date-time', (text) => !Number.isNaN(Date.parse(text)));
  const references = new Map();
  for (const file of readdirSync(join(helm, 'schemas')).filter((name) => name.endsWith('.json'))) {
    const schema = readJson(join(helm, 'schemas', file));
    const { kinds, ...rest } = schema;
    ajv.addSchema(rest);
    for (const [kind, reference] of Object.entries(kinds)) references.set(kind, `${schema.$id}${reference}`);
  }
  return (object) => {
    const kind = `${object.apiVersion}/${object.kind}`;
    const reference = references.get(kind);
    if (reference === undefined) return [`${kind}: there is no schema of this kind in docker/helm/schemas/`];
    const validate = ajv.getSchema(reference);
    if (validate(object)) return [];
    return validate.errors.map(
      ({ instancePath, message, params }) =>
        `${kind} ${object.metadata?.name}: ${instancePath || '/'} ${message}${'additionalProperty' in params ? ` (${params.additionalProperty})` : ''}`,
    );
  };
}

/** The objects in a file of manifests. @throws Error where it is no YAML, or a key occurs twice */
function objectsOf(text) {
  return parseAllDocuments(text)
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0];
      return document.toJS();
    })
    .filter((object) => object !== null);
}

/** Problems of values, by the schema of the chart. */
function valuesCheck() {
  const validate = new Ajv({ strict: false, allErrors: true }).compile(
    readJson(join(chart, 'values.schema.json')),
  );
  return (values) =>
    validate(values)
      ? []
      : validate.errors.map(
          ({ instancePath, message, params }) =>
            `${instancePath || '/'} ${message} ${JSON.stringify(params)}`,
        );
}

/** Every problem, as a line that begins with the file. */
function problems() {
  const found = [];
  const collect = (path, check) => {
    try {
      for (const problem of check(readFileSync(path, 'utf8')))
        found.push(`${relative(root, path)}: ${problem}`);
    } catch (error) {
      found.push(`${relative(root, path)}: ${error.message}`);
    }
  };
  const checkManifest = manifestCheck();
  const checkValues = valuesCheck();
  const rendered = readdirSync(join(helm, 'rendered')).filter((name) => name.endsWith('.yaml'));
  if (rendered.length === 0) found.push('docker/helm/rendered: holds no manifests');
  for (const name of rendered)
    collect(join(helm, 'rendered', name), (text) => objectsOf(text).flatMap(checkManifest));
  collect(join(chart, 'values.yaml'), (text) => checkValues(parse(text)));
  for (const name of readdirSync(join(chart, 'ci')))
    collect(join(chart, 'ci', name), (text) => checkValues(parse(text)));
  const plain = ['compose.yaml', 'prometheus.yml', 'prometheus-compose.yml', 'prometheus-alerts.yml'].map(
    (name) => `docker/${name}`,
  );
  for (const name of plain) collect(join(root, name), (text) => (parse(text, { merge: true }), []));
  return found;
}

module.exports = { manifestCheck, objectsOf, valuesCheck };

if (require.main === module) {
  const found = problems();
  for (const problem of found) console.error(problem);
  process.exitCode = found.length > 0 ? 1 : 0;
}
