// What the servers of Node.js that tests run share: they stay on 127.0.0.1, and end with whoever started them.

import { renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const held = new Map()

// What is installed in a folder, by its name.
export async function load(packages, name) {
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

// A port of 127.0.0.1 that nobody else can take until it is listened at; 0 is any that is free.
export async function hold(wanted) {
  const holder = net.createServer()
  await new Promise((done, failed) => {
    holder.once('error', failed)
    holder.listen({ port: wanted, host: '127.0.0.1' }, done)
  })
  const { port } = holder.address()
  held.set(port, holder)
  return port
}

// Servers listen on every interface if they are let; from here on they get what was held for them, or 127.0.0.1.
export function keepOnLoopback() {
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
export function dieWithParent(parent) {
  setInterval(() => {
    if (process.ppid !== parent) process.exit(1)
  }, 200).unref()
}

// Writes aside and renames, so that whoever polls the file never reads half of it.
export function writeWhole(file, text) {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}
