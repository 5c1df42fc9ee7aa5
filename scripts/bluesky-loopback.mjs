// Serves Bluesky's own PDS, and the PLC directory it needs, on free ports of 127.0.0.1, and writes the PDS's port to a file once both listen.
//
// It runs where `@atproto/pds` and `@did-plc/server` are installed: that folder is the first argument, since packages are
// looked for from there. What the PDS keeps goes into a folder beside the port file.
// With the word `limited` behind the port file, the PDS limits calls as the ones on the Internet do.
//
// usage: bluesky-loopback.mjs PACKAGES PORT_FILE [limited]

import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [packages, portFile, limits] = process.argv.slice(2)
if (!portFile) {
  console.error('usage: bluesky-loopback.mjs PACKAGES PORT_FILE [limited]')
  process.exit(64)
}

dieWithParent(process.ppid)
const held = new Map()
keepOnLoopback()

const { PlcServer, Database } = await load('@did-plc/server')
const { PDS, envToCfg, envToSecrets } = await load('@atproto/pds')

const plcPort = await hold()
const plc = PlcServer.create({ db: Database.mock(), port: plcPort })
await plc.start()

const port = await hold()
const folder = `${portFile}.pds`
mkdirSync(path.join(folder, 'blobs'), { recursive: true })
const environment = {
  NODE_ENV: 'development',
  LOG_ENABLED: 'false',
  PDS_HOSTNAME: 'localhost',
  PDS_PORT: String(port),
  PDS_DATA_DIRECTORY: folder,
  PDS_BLOBSTORE_DISK_LOCATION: path.join(folder, 'blobs'),
  PDS_BLOBSTORE_DISK_TMP_LOCATION: path.join(folder, 'blobs-tmp'),
  PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: randomBytes(32).toString('hex'),
  PDS_JWT_SECRET: randomBytes(16).toString('hex'),
  PDS_DPOP_SECRET: randomBytes(32).toString('hex'),
  PDS_ADMIN_PASSWORD: randomBytes(16).toString('hex'),
  PDS_DID_PLC_URL: `http://127.0.0.1:${plcPort}`,
  PDS_DEV_MODE: 'true',
  PDS_INVITE_REQUIRED: 'false',
  PDS_DISABLE_SSRF_PROTECTION: 'true',
  PDS_SERVICE_HANDLE_DOMAINS: '.test',
  PDS_RATE_LIMITS_ENABLED: String(limits === 'limited'),
}
Object.assign(process.env, environment)
const { readEnv } = await load('@atproto/pds')
const env = readEnv()
const pds = await PDS.create(envToCfg(env), envToSecrets(env))
await pds.start()
writeWhole(portFile, `${port}\n`)

// What is installed in that folder, by its name.
async function load(name) {
  const require = createRequire(path.join(path.resolve(packages), 'package.json'))
  let file
  try {
    file = require.resolve(name)
  } catch {
    const folder = path.join(path.resolve(packages), 'node_modules', name)
    file = path.join(folder, require(path.join(folder, 'package.json')).exports['.'].default)
  }
  const module = await import(pathToFileURL(file))
  return module.default?.PlcServer ? module.default : module
}

// A port of 127.0.0.1 that nobody else can take until it is listened at.
async function hold() {
  const holder = net.createServer()
  await new Promise((done, failed) => {
    holder.once('error', failed)
    holder.listen({ port: 0, host: '127.0.0.1' }, done)
  })
  const { port } = holder.address()
  held.set(port, holder)
  return port
}

// Both servers listen on every interface if they are let; here they get what was held for them.
function keepOnLoopback() {
  const listen = net.Server.prototype.listen
  net.Server.prototype.listen = function (...given) {
    const port = typeof given[0] === 'object' ? given[0].port : given[0]
    const holder = held.get(port)
    if (holder) {
      held.delete(port)
      return listen.call(this, holder, given.find((it) => typeof it === 'function'))
    }
    if (typeof given[0] === 'object') return listen.call(this, { ...given[0], host: '127.0.0.1' }, ...given.slice(1))
    return listen.call(this, { port, host: '127.0.0.1' }, given.find((it) => typeof it === 'function'))
  }
}

// Ends this process when whoever started it is gone, however it went.
function dieWithParent(parent) {
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1)
  }, 200).unref()
}

// Writes aside and renames, so that whoever polls the file never reads half of it.
function writeWhole(file, text) {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}
