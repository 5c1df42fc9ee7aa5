// Serves Bluesky's own PDS, and the PLC directory it needs, on free ports of 127.0.0.1, and writes the PDS's port to a file once both listen.
//
// It runs where `@atproto/pds` and `@did-plc/server` are installed: that folder is the first argument, since packages are
// looked for from there. What both keep goes into a folder beside the port file; begun again with the same port file, they
// go on from there, at the PDS's old port.
// With the word `limited` behind the port file, the PDS limits calls as the ones on the Internet do.
//
// usage: bluesky-loopback.mjs PACKAGES PORT_FILE [limited]

import { randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { dieWithParent, hold, keepOnLoopback, load, writeWhole } from './lib/loopback.mjs'

const [packages, portFile, limits] = process.argv.slice(2)
if (!portFile) {
  console.error('usage: bluesky-loopback.mjs PACKAGES PORT_FILE [limited]')
  process.exit(64)
}

dieWithParent(process.ppid)
keepOnLoopback()

const { PlcServer, Database } = await load(packages, '@did-plc/server')
const { PDS, envToCfg, envToSecrets } = await load(packages, '@atproto/pds')

const folder = `${portFile}.pds`
mkdirSync(path.join(folder, 'blobs'), { recursive: true })

const kept = await identity()
const { port } = kept

const plcPort = await hold(0)
const plc = PlcServer.create({ db: await durable(Database.mock()), port: plcPort })
await plc.start()

const environment = {
  NODE_ENV: 'development',
  LOG_ENABLED: 'false',
  PDS_HOSTNAME: 'localhost',
  PDS_PORT: String(port),
  PDS_DATA_DIRECTORY: folder,
  PDS_BLOBSTORE_DISK_LOCATION: path.join(folder, 'blobs'),
  PDS_BLOBSTORE_DISK_TMP_LOCATION: path.join(folder, 'blobs-tmp'),
  PDS_PLC_ROTATION_KEY_K256_PRIVATE_KEY_HEX: kept.rotationKey,
  PDS_JWT_SECRET: kept.jwtSecret,
  PDS_DPOP_SECRET: kept.dpopSecret,
  PDS_ADMIN_PASSWORD: kept.adminPassword,
  PDS_DID_PLC_URL: `http://127.0.0.1:${plcPort}`,
  PDS_DEV_MODE: 'true',
  PDS_INVITE_REQUIRED: 'false',
  PDS_DISABLE_SSRF_PROTECTION: 'true',
  PDS_SERVICE_HANDLE_DOMAINS: '.test',
  PDS_RATE_LIMITS_ENABLED: String(limits === 'limited'),
}
Object.assign(process.env, environment)
const { readEnv } = await load(packages, '@atproto/pds')
const env = readEnv()
const pds = await PDS.create(envToCfg(env), envToSecrets(env))
await pds.start()
writeWhole(portFile, `${port}\n`)

// What makes this PDS the one it was before it ended: its port, which accounts are found at, and its secrets.
async function identity() {
  const file = path.join(folder, 'identity.json')
  if (existsSync(file)) {
    const identity = JSON.parse(readFileSync(file, 'utf8'))
    await hold(identity.port)
    return identity
  }
  const secret = (length) => randomBytes(length).toString('hex')
  const identity = {
    port: await hold(0),
    rotationKey: secret(32),
    jwtSecret: secret(16),
    dpopSecret: secret(32),
    adminPassword: secret(16),
  }
  writeWhole(file, JSON.stringify(identity))
  return identity
}

// A directory in memory that knows what was told to it before it ended.
async function durable(db) {
  const file = path.join(folder, 'directory.jsonl')
  const told = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
  for (const line of told) await db.validateAndAddOp(...JSON.parse(line))
  const add = db.validateAndAddOp
  db.validateAndAddOp = async function (did, operation) {
    await add.call(this, did, operation)
    appendFileSync(file, `${JSON.stringify([did, operation])}\n`)
  }
  return db
}
