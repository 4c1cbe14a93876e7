// Work of node-postgres, as published: node work.js NAME CLIENTS; prints one JSON line with what every client got.
// Where to connect comes from libpq's variables.
'use strict'

const { Client, Pool } = require('pg')
const Cursor = require('pg-cursor')

async function connected(work, options) {
  const client = new Client(options)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const works = {
  // Named statements are prepared once and used by name from then on.
  named: (number) => connected(async (client) => {
    const seen = []
    for (let round = 0; round < 4; round++) {
      for (let id = 1; id < 8; id++) {
        const item = { name: 'item', text: 'SELECT name, price FROM conf_items WHERE id = $1', values: [id] }
        seen.push((await client.query(item)).rows[0])
        const sum = { name: `sum-${id}`, text: `SELECT ${id} + $1::int AS sum`, values: [number] }
        seen.push((await client.query(sum)).rows[0])
      }
    }
    return seen
  }),

  types: (number) => connected(async (client) => {
    const values = [number, 'täxt', 1.5, true, null, Buffer.from([0, 255]), [1, 2], { a: [1] }, new Date(Date.UTC(2030, 0, 2))]
    const casts = ['int', 'text', 'float8', 'bool', 'int', 'bytea', 'int[]', 'jsonb', 'timestamptz']
    const seen = []
    for (let i = 0; i < values.length; i++) {
      const result = await client.query(`SELECT $1::${casts[i]} AS value`, [values[i]])
      seen.push([result.rows[0].value, result.fields[0].dataTypeID, result.command])
    }
    return seen
  }),

  transactions: (number) => connected(async (client) => {
    await client.query('DELETE FROM conf_rows WHERE owner = $1', [number])
    const seen = []
    for (let i = 0; i < 4; i++) {
      await client.query('BEGIN')
      try {
        await client.query('INSERT INTO conf_rows VALUES ($1, $2, $3)', [number, i, 'node'])
        if (i % 2) await client.query('SELECT 1/0')
        await client.query('COMMIT')
      } catch (error) {
        seen.push([error.code, error.message, error.severity])
        await client.query('ROLLBACK')
      }
    }
    seen.push((await client.query('SELECT id FROM conf_rows WHERE owner = $1 ORDER BY id', [number])).rows)
    seen.push((await client.query('SELECT 1 AS a; SELECT 2 AS b')).map((result) => result.rows))
    return seen
  }),

  settings: (number) => connected(async (client) => {
    const seen = []
    for (const zone of ['Asia/Tokyo', 'UTC']) {
      await client.query(`SET TIME ZONE '${zone}'`)
      await client.query("SELECT set_config('app.user_id', $1, false)", [`${number} ${zone}`])
      for (let i = 0; i < 4; i++) {
        const sql = "SELECT current_setting('app.user_id') AS id, current_setting('TimeZone') AS zone, current_setting('work_mem') AS mem"
        seen.push((await client.query(sql)).rows[0])
      }
    }
    await client.query('RESET ALL')
    seen.push((await client.query('SHOW work_mem')).rows[0])
    return seen
  }, { options: '-c work_mem=9MB', statement_timeout: 7000, application_name: `node ${number}` }),

  // All queries are queued at once; the driver sends each when the one before has ended.
  queued: (number) => connected(async (client) => {
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => client.query('SELECT 100 / ($1::int - 10) AS value', [i])))
    return results.map((result) => result.status === 'fulfilled' ? result.value.rows[0].value : result.reason.code)
  }),

  cursor: (number) => connected(async (client) => {
    await client.query('BEGIN')
    const cursor = client.query(new Cursor('SELECT id FROM conf_items WHERE id > $1 ORDER BY id', [number]))
    const seen = [(await cursor.read(5)).length, (await cursor.read(7)).map((row) => row.id)]
    await cursor.close()
    await client.query('COMMIT')
    return seen
  }),

  // A cursor outside a transaction block: its portal is suspended without a Sync.
  suspended: (number) => connected(async (client) => {
    const cursor = client.query(new Cursor('SELECT id FROM conf_items ORDER BY id'))
    const seen = []
    for (let rows = await cursor.read(9); rows.length; rows = await cursor.read(9)) seen.push(rows.length)
    await cursor.close()
    return [seen, (await client.query('SELECT 1 AS alive')).rows]
  }),

  cancel: (number) => connected(async (client) => {
    const query = client.query('SELECT pg_sleep(20)').catch((error) => error.code)
    await new Promise((resolve) => setTimeout(resolve, 1000))  // it has begun by then
    const canceller = new Client()
    await new Promise((resolve, reject) => {
      canceller.connection.on('connect', () => canceller.connection.cancel(client.processID, client.secretKey))
      canceller.connection.on('error', reject)
      canceller.connection.on('end', resolve)
      canceller.connection.connect(client.port, client.host)
    })
    return [await query, (await client.query('SELECT 1 AS alive')).rows]
  }),

  notify: (number) => connected(async (client) => {
    const heard = []
    client.on('notification', (note) => heard.push([note.channel, note.payload]))
    await client.query(`LISTEN conf_node_${number}`)
    for (let i = 0; i < 3; i++) await client.query('SELECT pg_notify($1, $2)', [`conf_node_${number}`, String(i)])
    while (heard.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
    return heard
  }),

  pool: async (number) => {
    const pool = new Pool({ max: 3 })
    try {
      const one = async (i) => (await pool.query({ name: 'pooled', text: 'SELECT $1::int + 1 AS next', values: [i] })).rows[0].next
      return await Promise.all(Array.from({ length: 30 }, (_, i) => one(i)))
    } finally {
      await pool.end()
    }
  }
}

async function main() {
  const [name, clients] = [process.argv[2], Number(process.argv[3])]
  const results = await Promise.all(Array.from({ length: clients }, (_, number) => works[name](number)))
  console.log(JSON.stringify(results))
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
