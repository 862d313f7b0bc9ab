import DormouseSupport
import Glibc

/// What the machine can do at best with one instruction set and so many threads.
struct Limits {
  var gigabytesPerSecond: Double
  var gigaoperationsPerSecond: Double
}

/// One figure: the median of `passes`.
struct Figure {
  var name: String
  var set: String
  var threads: Int
  var gigabytesPerSecond: Double
  var gigaoperationsPerSecond: Double
  var passes: Int
  var limits: Limits

  var shareOfReading: Double { gigabytesPerSecond / limits.gigabytesPerSecond }
  var shareOfArithmetic: Double { gigaoperationsPerSecond / limits.gigaoperationsPerSecond }
}

/// Lines that appear at once, whatever the stream is connected to.
enum Output {
  static func write(_ line: String, to descriptor: Int32) {
    let bytes = Array((line + "\n").utf8)
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count <= 0 { return }
      done += count
    }
  }
}

/// Writes to stdout as figures come, for people or as JSON Lines.
struct Report {
  let json: Bool

  func begin() {
    guard !json else { return }
    write(
      "\(pad("case", 44))\(pad("set", 10))\(pad("threads", 9))\(pad("GB/s", 8, right: true))"
        + "\(pad("of reading", 12, right: true))\(pad("GFLOP/s", 10, right: true))\(pad("of peak", 9, right: true))")
  }

  func limits(_ limits: Limits, set: String, threads: Int) {
    if json {
      return write(
        line([
          ("kind", .string("limits")), ("set", .string(set)), ("threads", .integer(Int64(threads))),
          ("gigabytes_per_second", .number(limits.gigabytesPerSecond)),
          ("gigaflop_per_second", .number(limits.gigaoperationsPerSecond)),
        ]))
    }
    write(
      "\(pad("limits", 44))\(pad(set, 10))\(pad("\(threads)", 9))"
        + "\(pad(decimal(limits.gigabytesPerSecond), 8, right: true))\(pad("", 12))"
        + "\(pad(decimal(limits.gigaoperationsPerSecond), 10, right: true))")
  }

  func figure(_ figure: Figure) {
    if json {
      return write(
        line([
          ("kind", .string("figure")), ("name", .string(figure.name)), ("set", .string(figure.set)),
          ("threads", .integer(Int64(figure.threads))), ("passes", .integer(Int64(figure.passes))),
          ("gigabytes_per_second", .number(figure.gigabytesPerSecond)),
          ("share_of_reading", .number(figure.shareOfReading)),
          ("gigaflop_per_second", .number(figure.gigaoperationsPerSecond)),
          ("share_of_arithmetic", .number(figure.shareOfArithmetic)),
        ]))
    }
    write(
      "\(pad(figure.name, 44))\(pad(figure.set, 10))\(pad("\(figure.threads)", 9))"
        + "\(pad(decimal(figure.gigabytesPerSecond), 8, right: true))"
        + "\(pad(percent(figure.shareOfReading), 12, right: true))"
        + "\(pad(decimal(figure.gigaoperationsPerSecond), 10, right: true))"
        + "\(pad(percent(figure.shareOfArithmetic), 9, right: true))")
  }

  func write(_ line: String) { Output.write(line, to: STDOUT_FILENO) }

  private func line(_ members: [(String, JSON)]) -> String {
    let fields = members.map { "\(JSON.string($0.0).text()):\($0.1.text())" }
    return "{" + fields.joined(separator: ",") + "}"
  }

  private func pad(_ text: String, _ width: Int, right: Bool = false) -> String {
    let space = String(repeating: " ", count: max(0, width - text.count))
    return right ? space + text : text + space
  }

  /// One digit behind the point.
  private func decimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }

  private func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }
}
