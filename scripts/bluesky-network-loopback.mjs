// Serves Bluesky's whole development network on free ports of 127.0.0.1: a PDS, the network's view, a generator of feeds,
// and what they need. Once all is ready, it writes one line of JSON to a file: the ports of the PDS (`pds`) and of the view
// (`view`), the address of a feed (`feed`), and the tag that brings a post into it (`tag`).
//
// It runs where `@atproto/dev-env` is installed: that folder is the first argument. The view's database is a PostgreSQL
// whose programs are in the second one; it is heard at a Unix socket alone. Everything is kept beside the file.
//
// usage: bluesky-network-loopback.mjs PACKAGES POSTGRESQL FILE

import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { dieWithParent, hold, keepOnLoopback, load, writeWhole } from './lib/loopback.mjs'

const TAG = 'desarrollo'
const [packages, postgresql, file] = process.argv.slice(2)
if (!file) {
  console.error('usage: bluesky-network-loopback.mjs PACKAGES POSTGRESQL FILE')
  process.exit(64)
}

dieWithParent(process.ppid)
keepOnLoopback()

const folder = `${file}.network`
mkdirSync(path.join(folder, 'files'), { recursive: true })
Object.assign(process.env, {
  NODE_ENV: 'development',
  LOG_ENABLED: 'false',
  // Where the PDS keeps accounts and pictures.
  TMPDIR: path.join(folder, 'files'),
  DB_POSTGRES_URL: await database(),
  DB_POSTGRES_SCHEMA: 'network',
  // It must be named; nothing of this network asks it.
  REDIS_HOST: '127.0.0.1:1',
})

const { TestNetwork } = await load(packages, '@atproto/dev-env')
const port = await hold(0)
const network = await TestNetwork.create({ bsky: { port, publicUrl: `http://127.0.0.1:${port}` } })
const feed = await tagged(network)
await network.processAll()
writeWhole(file, `${JSON.stringify({ pds: network.pds.port, view: port, feed, tag: TAG })}\n`)

// A feed of all posts that have the tag in their text, the newest first, in pages of at most 20; its address.
async function tagged(network) {
  const { TestFeedGen } = await load(packages, '@atproto/dev-env')
  const feeds = {}
  const generator = await TestFeedGen.create(network.plc.url, feeds)
  network.feedGens.push(generator)
  const agent = network.pds.getAgent()
  await agent.createAccount({ handle: 'tagger.test', email: 'tagger@example.test', password: 'only-for-tests' })
  const { data } = await agent.com.atproto.repo.createRecord({
    repo: agent.accountDid,
    collection: 'app.bsky.feed.generator',
    record: { did: generator.did, displayName: TAG, createdAt: new Date().toISOString() },
  })
  feeds[data.uri] = async ({ params }) => {
    const { limit, cursor } = params
    let posts = network.bsky.db.db.selectFrom('post').select(['uri', 'sortAt']).where('text', 'like', `%#${TAG}%`)
    if (cursor) posts = posts.where('sortAt', '<', cursor)
    const feed = await posts.orderBy('sortAt', 'desc').limit(Math.min(limit, 20)).execute()
    return {
      encoding: 'application/json',
      body: { feed: feed.map(({ uri }) => ({ post: uri })), cursor: feed.at(-1)?.sortAt },
    }
  }
  return data.uri
}

// Begins a database that ends with this process; its address.
async function database() {
  // It refuses to run as root. Debian's package brings a user for it, who must be able to come by.
  const isRoot = process.getuid() === 0
  const as = isRoot ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : []
  const home = path.join(folder, 'database')
  mkdirSync(home)
  if (isRoot) {
    for (let above = folder; above !== path.dirname(above); above = path.dirname(above)) {
      if (above.startsWith(path.dirname(path.resolve(file)))) chmodSync(above, 0o711)
    }
    run('chown', ['postgres', home])
  }
  const files = path.join(home, 'files')
  const program = (name) => path.join(postgresql, name)
  run('setpriv', [
    ...as,
    program('initdb'),
    ...['-D', files, '-A', 'trust', '-U', 'bluesky', '-E', 'UTF8', '--locale=C', '--no-sync', '--no-instructions'],
  ])
  const log = openSync(path.join(home, 'log'), 'a')
  const settings = ['listen_addresses=', `unix_socket_directories=${home}`, 'fsync=off', 'max_connections=200']
  const server = spawn(
    'setpriv',
    [...as, '--pdeathsig=QUIT', program('postgres'), '-D', files, ...settings.flatMap((it) => ['-c', it])],
    { cwd: home, stdio: ['ignore', log, log] },
  )
  server.once('exit', (code) => {
    console.error(`PostgreSQL ended with ${code}; its log is ${home}/log`)
    process.exit(1)
  })
  process.once('exit', () => server.kill('SIGQUIT'))
  // Whoever ends this process may remove the files once it is gone, so the database goes first.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.once(signal, () => server.kill('SIGQUIT'))
  while (!existsSync(path.join(home, '.s.PGSQL.5432'))) await setTimeout(20)
  return `postgresql://bluesky@${encodeURIComponent(home)}/postgres`
}

function run(program, given) {
  const { status, error, stderr } = spawnSync(program, given, { cwd: '/', encoding: 'utf8' })
  if (status !== 0) throw error ?? new Error(`${program} ended with ${status}: ${stderr}`)
}
