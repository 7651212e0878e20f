#!/usr/bin/env node
// What Prisma's Python client takes for the binary query engine, which no package registry has.
//
// The client asks in GraphQL over HTTP. The WASM engine of the same version, from npm, answers the same questions in
// Prisma's JSON protocol. Raw SQL goes to PostgreSQL directly. PRISMA_MODULES names the node_modules to use;
// DATABASE_URL and PRISMA_DML_PATH (the schema) are what the client sets for the binary.

'use strict';
const fs = require('fs');
const http = require('http');

// The engine of 5.17.0, which the Python client 0.15 asks for by this commit.
const VERSION = 'query-engine 393aa359c9ad4a4bb28630fb5613f9c281cde053';
if (process.argv.includes('--version')) {
  console.log(VERSION);
  process.exit(0);
}

const modules = `${process.env.PRISMA_MODULES || `${__dirname}/node_modules`}/`;
const { parse } = require(`${modules}graphql`);
const { Pool } = require(`${modules}pg`);
const { PrismaPg } = require(`${modules}@prisma/adapter-pg`);
const { bindAdapter } = require(`${modules}@prisma/driver-adapter-utils`);
const RUNTIME = `${modules}@prisma/client/runtime/query_engine_bg.postgresql`;

const TRACE = JSON.stringify({ traceparent: '00-10-10-00' });
const port = Number(process.argv[process.argv.indexOf('-p') + 1]);
const schema = fs
  .readFileSync(process.env.PRISMA_DML_PATH, 'utf8')
  .replace(
    /generator\s+client\s*{[^}]*}/,
    'generator client {\n provider = "prisma-client-js"\n previewFeatures = ["driverAdapters"]\n}',
  );
const fieldTypes = typesOfFields(schema);
const pool = new Pool({ connectionString: databaseURL(), max: 5 });
const engine = startEngine();
const connected = engine.connect(TRACE);

function databaseURL() {
  const url = new URL(process.env.DATABASE_URL);
  for (const name of ['connection_limit', 'pool_timeout', 'connect_timeout', 'socket_timeout', 'pgbouncer', 'schema']) {
    url.searchParams.delete(name);
  }
  return url.toString();
}

function startEngine() {
  const bindings = require(`${RUNTIME}.js`);
  const wasm = new WebAssembly.Module(fs.readFileSync(`${RUNTIME}.wasm`));
  bindings.__wbg_set_wasm(new WebAssembly.Instance(wasm, { './query_engine_bg.js': bindings }).exports);
  const settings = {
    datamodel: schema,
    env: process.env,
    logQueries: false,
    ignoreEnvVarErrors: true,
    datasourceOverrides: {},
    logLevel: 'error',
    configDir: process.cwd(),
    engineProtocol: 'json',
  };
  return new bindings.QueryEngine(settings, (line) => console.error(line), bindAdapter(new PrismaPg(pool)));
}

function typesOfFields(text) {
  const models = {};
  let fields = null;
  for (const line of text.split('\n')) {
    const model = /^model\s+(\w+)/.exec(line);
    const field = /^\s+(\w+)\s+(\w+)(\[\])?/.exec(line);
    if (model) fields = models[model[1]] = {};
    else if (line.startsWith('}')) fields = null;
    else if (fields && field) fields[field[1]] = field[2];
  }
  return models;
}

// GraphQL to Prisma's JSON protocol.

const ACTIONS = [
  'findUniqueOrThrow', 'findFirstOrThrow', 'findUnique', 'findFirst', 'findMany', 'createOne', 'createMany',
  'updateOne', 'updateMany', 'upsertOne', 'deleteOne', 'deleteMany', 'aggregate', 'groupBy',
];
const RAW = ['queryRaw', 'executeRaw'];

function translated(query) {
  const root = parse(query).definitions[0].selectionSet.selections[0];
  const name = root.name.value;
  if (RAW.includes(name)) return { action: name, query: { arguments: argumentsOf(root), selection: {} } };
  for (const action of ACTIONS) {
    const suffix = action.endsWith('OrThrow') ? 'OrThrow' : '';
    const prefix = action.slice(0, action.length - suffix.length);
    const model = name.slice(prefix.length, name.length - suffix.length);
    if (name.startsWith(prefix) && name.endsWith(suffix) && model in fieldTypes) {
      return {
        modelName: model,
        action,
        query: { arguments: withJSON(argumentsOf(root), model), selection: selectionOf(root.selectionSet) },
      };
    }
  }
  throw new Error(`unknown query ${name}`);
}

function argumentsOf(node) {
  return Object.fromEntries((node.arguments || []).map((each) => [each.name.value, valueOf(each.value)]));
}

function valueOf(node) {
  switch (node.kind) {
    case 'IntValue': {
      const number = Number(node.value);
      return Number.isSafeInteger(number) ? number : { $type: 'BigInt', value: node.value };
    }
    case 'FloatValue':
      return Number(node.value);
    case 'NullValue':
      return null;
    case 'ListValue':
      return node.values.map(valueOf);
    case 'ObjectValue':
      return Object.fromEntries(node.fields.map((field) => [field.name.value, valueOf(field.value)]));
    default:
      return node.value; // a string, a boolean, an enum
  }
}

function selectionOf(set) {
  const selection = {};
  for (const field of set ? set.selections : []) {
    const nested = field.selectionSet || (field.arguments && field.arguments.length);
    selection[field.name.value] = nested
      ? { arguments: argumentsOf(field), selection: selectionOf(field.selectionSet) }
      : true;
  }
  return selection;
}

// A JSON column is a string in GraphQL, and a tagged value in the other protocol.
const JSON_OPERATIONS = ['set', 'equals', 'not', 'array_contains', 'push'];

function withJSON(value, model) {
  if (Array.isArray(value)) return value.map((each) => withJSON(each, model));
  if (!value || typeof value !== 'object' || '$type' in value) return value;
  const fields = fieldTypes[model] || {};
  const entries = Object.entries(value).map(([name, each]) => {
    const type = fields[name];
    if (type === 'Json') return [name, taggedJSON(each)];
    return [name, withJSON(each, fieldTypes[type] ? type : model)];
  });
  return Object.fromEntries(entries);
}

function taggedJSON(value) {
  if (typeof value === 'string') return { $type: 'Json', value };
  if (Array.isArray(value)) return value.map(taggedJSON);
  if (!value || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, JSON_OPERATIONS.includes(name) ? taggedJSON(each) : each]),
  );
}

// Answers, back to what the Python client expects of the binary.

function untagged(value) {
  if (Array.isArray(value)) return value.map(untagged);
  if (!value || typeof value !== 'object') return value;
  if (!('$type' in value)) {
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, untagged(each)]));
  }
  if (value.$type === 'Json') return typeof value.value === 'string' ? value.value : JSON.stringify(value.value);
  return value.$type === 'BigInt' ? String(value.value) : value.value;
}

const COLUMN_TYPES = {
  16: 'bool', 20: 'bigint', 21: 'int', 23: 'int', 114: 'json', 700: 'float', 701: 'double', 1082: 'date',
  1114: 'datetime', 1184: 'datetime', 1700: 'decimal', 2950: 'uuid', 3802: 'json',
};

async function raw({ action, query }) {
  const given = query.arguments.parameters;
  const parameters = (typeof given === 'string' ? JSON.parse(given) : given || []).map((each) =>
    each && typeof each === 'object' && each.prisma__value !== undefined ? each.prisma__value : each,
  );
  const result = await pool.query({ text: query.arguments.query, values: parameters, rowMode: 'array' });
  if (action === 'executeRaw') return result.rowCount || 0;
  return {
    columns: result.fields.map((field) => field.name),
    types: result.fields.map((field) => COLUMN_TYPES[field.dataTypeID] || 'string'),
    rows: result.rows.map((row) => row.map((cell) => (cell instanceof Date ? cell.toISOString() : cell))),
  };
}

async function answerTo(query, transaction) {
  const question = translated(query);
  // The WASM engine of 5.17 has no raw queries outside of a transaction that it began itself.
  if (!transaction && RAW.includes(question.action)) return { data: { result: await raw(question) } };
  const answer = JSON.parse(await engine.query(JSON.stringify(question), TRACE, transaction));
  if (answer.errors) return answer;
  const data = answer.data ? Object.values(answer.data)[0] : answer;
  return { data: { result: untagged(data) } };
}

async function begun(body) {
  const wanted = JSON.parse(body || '{}');
  const options = {
    max_wait: wanted.max_wait || 2000,
    timeout: wanted.timeout || 5000,
    isolation_level: wanted.isolation_level,
  };
  const answer = JSON.parse(await engine.startTransaction(JSON.stringify(options), TRACE));
  return answer.error_code ? { errors: [{ error: answer.message, user_facing_error: answer }] } : answer;
}

async function ended(transaction, how) {
  const end = how === 'commit' ? engine.commitTransaction : engine.rollbackTransaction;
  const answer = await end.call(engine, transaction, TRACE);
  return answer ? JSON.parse(answer) : {};
}

async function respond(url, transaction, body) {
  await connected;
  if (url === '/status') return { status: 'ok' };
  if (url.startsWith('/metrics')) return { counters: [], gauges: [], histograms: [] };
  if (url === '/transaction/start') return begun(body);
  const end = /^\/transaction\/([^/]+)\/(commit|rollback)$/.exec(url);
  if (end) return ended(end[1], end[2]);
  const question = JSON.parse(body);
  if (!question.batch) return answerTo(question.query, transaction);
  const results = [];
  for (const each of question.batch) {
    const result = await answerTo(each.query, transaction);
    if (result.errors) return result;
    results.push(result);
  }
  return { batchResult: results };
}

function failure(error) {
  const message = String((error && error.message) || error);
  const details = { is_panic: false, message, error_code: 'P2010', meta: { code: error && error.code, message } };
  return { errors: [{ error: message, user_facing_error: details }] };
}

const server = http.createServer((request, response) => {
  let body = '';
  request.on('data', (piece) => {
    body += piece;
  });
  request.on('end', async () => {
    const answer = await respond(request.url, request.headers['x-transaction-id'], body).catch(failure);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  });
});
server.listen(port, '127.0.0.1');

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
// LiteLLM may be killed and leave it behind.
setInterval(() => process.ppid === 1 && process.exit(0), 2000);
