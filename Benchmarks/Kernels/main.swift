import DormouseKernels
import DormouseSupport
import Glibc

/// Measures `cases` for every set and thread count, and reports each figure as it comes.
private struct Run {
  let options: Options
  let report: Report

  private struct Machine {
    var kernels: Kernels
    var pool: ThreadPool
    var arithmetic: Double
  }

  /// Passes over memory before and after each figure.
  private static let readPasses = 3

  func measure(_ cases: [Case]) throws(Failure) {
    report.begin()
    let machines = try makeMachines()
    guard let widest = machines.map(\.pool).max(by: { $0.threadCount < $1.threadCount }) else { return }
    let probe = try ReadProbe(pool: widest, byteCount: ReadProbe.defaultByteCount(widest))
    for measured in cases {
      let pass = try measured.prepare()
      for machine in machines { report.figure(figure(of: measured, machine, probe, pass)) }
    }
  }

  private func makeMachines() throws(Failure) -> [Machine] {
    var machines: [Machine] = []
    for threads in options.threads {
      let pool = try ThreadPool(threadCount: threads)
      for set in Kernels.usable() where options.sets.isEmpty || options.sets.contains(set.rawValue) {
        let kernels = try Kernels.make(set)
        let arithmetic = MachineLimits.measureArithmetic(kernels: kernels, pool: pool)
        machines.append(Machine(kernels: kernels, pool: pool, arithmetic: arithmetic))
      }
    }
    return machines
  }

  /// The limit of reading is measured before and after, since neighbours on the host move it from second to second.
  private func figure(
    of measured: Case, _ machine: Machine, _ probe: ReadProbe, _ pass: (Kernels, ThreadPool) -> Void
  ) -> Figure {
    func reading() -> Double {
      probe.measure(kernels: machine.kernels, pool: machine.pool, repetitions: Run.readPasses)
    }
    let before = reading()
    let times = seconds { pass(machine.kernels, machine.pool) }
    let after = reading()
    let median = max(times[times.count / 2], 1e-9)
    return Figure(
      name: measured.name, set: machine.kernels.instructionSet.rawValue, threads: machine.pool.threadCount,
      gigabytesPerSecond: measured.work.bytes / median / 1e9,
      gigaoperationsPerSecond: measured.work.operations / median / 1e9, passes: times.count,
      limits: Limits(gigabytesPerSecond: (before + after) / 2, gigaoperationsPerSecond: machine.arithmetic))
  }

  /// The times of passes that together take `options.seconds`, three at the least, after one to warm up; sorted.
  private func seconds(_ body: () -> Void) -> [Double] {
    body()
    let clock = ContinuousClock()
    var times: [Double] = []
    var total = 0.0
    while times.count < 3 || total < options.seconds {
      let time = clock.measure(body) / .seconds(1)
      times.append(time)
      total += time
    }
    return times.sorted()
  }
}

/// Writes to stderr and ends the program.
private func fail(_ message: String, status: Int32) -> Never {
  Output.write("dormouse-kernels-bench: \(message)", to: STDERR_FILENO)
  exit(status)
}

switch Options.parse(Array(CommandLine.arguments.dropFirst())) {
case .help: print(Options.help)
case .wrong(let message): fail("\(message); --help tells what there is", status: 2)
case .options(let options):
  let cases = Case.all(setBytes: options.setBytes).filter { options.includes($0.name) }
  let usable = Kernels.usable().map(\.rawValue)
  for set in options.sets where !usable.contains(set) {
    fail("--set \(set): usable here are \(usable.joined(separator: ", "))", status: 2)
  }
  if cases.isEmpty { fail("no case is left by --only; --list shows them all", status: 2) }
  if options.list {
    for measured in cases { print(measured.name) }
  } else {
    do {
      try Run(options: options, report: Report(json: options.json)).measure(cases)
    } catch {
      fail("\(error)", status: 1)
    }
  }
}
