#!/usr/bin/env node
/** The command `cryptvisor`. */
import { processSurroundings } from './process-surroundings.ts'
import { run } from './run.ts'

process.exitCode = await run(process.argv.slice(2), processSurroundings())
