// Names of members of the client library that no app, service or browser knows: the bundles may shorten them.
const { readdirSync } = require('node:fs');
const { join } = require('node:path');
const ts = require('typescript');

const folder = join(__dirname, '..', 'client');

/** Files of the library. What the service and the browser define is elsewhere. */
const isOwn = (file) => file.fileName.startsWith(`${folder}/`);

function programOf() {
  const config = join(folder, '..', 'tsconfig.json');
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(config, ts.sys.readFile).config,
    ts.sys,
    join(folder, '..'),
  );
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.ts'));
  return ts.createProgram(
    files.map((file) => join(folder, file)),
    { ...options, noEmit: true, types: [] },
  );
}

const hidden = [ts.SyntaxKind.PrivateKeyword, ts.SyntaxKind.ProtectedKeyword];
const isInternal = (node) => ts.getJSDocTags(node).some(({ tagName }) => tagName.text === 'internal');

/** Whether a member is for the library only: `private`, `protected`, or marked as internal. */
const isHidden = (node) =>
  node.modifiers?.some(({ kind }) => hidden.includes(kind)) === true || isInternal(node);

/** Types that an app can see: what the entries export, and what that mentions outside of private members. */
function visibleTypes(checker, entries) {
  const visible = new Set();
  const see = (symbol) => {
    const known = symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    for (const declaration of known?.declarations ?? []) {
      if (visible.has(declaration) || !isOwn(declaration.getSourceFile())) continue;
      visible.add(declaration);
      look(declaration);
    }
  };
  const look = (node) => {
    if (isHidden(node) || ts.isBlock(node)) return;
    if (ts.isTypeReferenceNode(node)) see(checker.getSymbolAtLocation(node.typeName));
    if (ts.isExpressionWithTypeArguments(node)) see(checker.getSymbolAtLocation(node.expression));
    if (ts.isTypeQueryNode(node)) see(checker.getSymbolAtLocation(node.exprName));
    ts.forEachChild(node, look);
  };
  for (const entry of entries)
    for (const one of checker.getExportsOfModule(checker.getSymbolAtLocation(entry))) see(one);
  return visible;
}

/**
 * A name may be shortened if all that bears it are members for the library only, members of classes that no app can see, or
 * members of interfaces that are marked as internal. All other interfaces may describe what is stored, sent, or the browser's.
 *
 * @param {string[]} entryNames
 * @returns {string[]}
 */
function privateNames(entryNames) {
  const program = programOf();
  const checker = program.getTypeChecker();
  const own = program.getSourceFiles().filter(isOwn);
  const visible = visibleTypes(
    checker,
    own.filter(({ fileName }) => entryNames.some((name) => fileName === join(folder, `${name}.ts`))),
  );
  const isPrivate = (declaration) => {
    const { parent } = declaration;
    if (!isOwn(declaration.getSourceFile())) return false;
    if (ts.isParameter(declaration)) return isHidden(declaration) || !visible.has(parent.parent);
    if (ts.isClassLike(parent)) return isHidden(declaration) || !visible.has(parent);
    return ts.isInterfaceDeclaration(parent) && isInternal(parent) && !visible.has(parent);
  };
  const short = new Set();
  const kept = new Set();
  const note = (name, symbol) => {
    const declarations = symbol?.declarations ?? [];
    const isShort = declarations.length > 0 && declarations.every(isPrivate);
    (isShort ? short : kept).add(name);
  };
  const memberOf = (type, name) => type && checker.getPropertyOfType(checker.getNonNullableType(type), name);
  const visit = (node) => {
    const name = node.name && ts.isIdentifier(node.name) ? node.name.text : undefined;
    if (ts.isBinaryExpression(node) && ts.isStringLiteralLike(node.left)) kept.add(node.left.text);
    if (ts.isPropertyAccessExpression(node)) note(name, checker.getSymbolAtLocation(node.name));
    else if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression))
      kept.add(node.argumentExpression.text);
    else if (ts.isObjectLiteralElementLike(node) && ts.isObjectLiteralExpression(node.parent)) {
      if (name !== undefined) note(name, memberOf(checker.getContextualType(node.parent), name));
    } else if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent) && !node.dotDotDotToken) {
      const property = (node.propertyName ?? node.name).text;
      note(property, memberOf(checker.getTypeAtLocation(node.parent), property));
    } else if (
      ts.isTypeElement(node) ||
      ts.isClassElement(node) ||
      ts.isParameterPropertyDeclaration(node, node.parent)
    ) {
      if (name !== undefined) (isPrivate(node) ? short : kept).add(name);
    }
    ts.forEachChild(node, visit);
  };
  own.forEach(visit);
  return [...short].filter((name) => !kept.has(name)).sort();
}

module.exports = { privateNames };
