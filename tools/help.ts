/** What `./run` says when it is asked for nothing. */
process.stdout.write(`usage: ./run VERB [ARGUMENTS]

  demo                             everything at work: encrypt, recover, lock, unlock, decrypt
  test [--long] [PATH...]          all tests, or those below PATH
  check                            format, lint, types, layers, unused code, generated files
  lab up --dir DIR [--json]        a key server, a control plane and two hosts on this machine
  lab down --dir DIR               stops them; up again continues with the same data
  lab start|stop NAME --dir DIR    one service: key-server, control-plane, host-a, host-b
  cryptvisor --dir DIR ARGUMENTS   the command line, against that lab
  bench                            speed, as ratios
`)
