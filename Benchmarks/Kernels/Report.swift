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
    row("case", "set", "threads", ["GB/s", "of limit", "GFLOP/s", "of limit"])
  }

  func figure(_ figure: Figure) {
    guard !json else { return Output.write(line(figure), to: STDOUT_FILENO) }
    row(
      figure.name, figure.set, "\(figure.threads)",
      [
        decimal(figure.gigabytesPerSecond),
        "\(percent(figure.shareOfReading)) of \(decimal(figure.limits.gigabytesPerSecond))",
        decimal(figure.gigaoperationsPerSecond),
        "\(percent(figure.shareOfArithmetic)) of \(decimal(figure.limits.gigaoperationsPerSecond))",
      ])
  }

  private func row(_ name: String, _ set: String, _ threads: String, _ values: [String]) {
    let widths = [8, 16, 10, 17]
    let cells = zip(values, widths).map { pad($0, $1, right: true) }
    Output.write(pad(name, 42) + pad(set, 10) + pad(threads, 8) + cells.joined(), to: STDOUT_FILENO)
  }

  private func line(_ figure: Figure) -> String {
    line([
      ("name", .string(figure.name)), ("set", .string(figure.set)), ("threads", .integer(Int64(figure.threads))),
      ("passes", .integer(Int64(figure.passes))), ("gigabytes_per_second", .number(figure.gigabytesPerSecond)),
      ("machine_gigabytes_per_second", .number(figure.limits.gigabytesPerSecond)),
      ("share_of_reading", .number(figure.shareOfReading)),
      ("gigaflop_per_second", .number(figure.gigaoperationsPerSecond)),
      ("machine_gigaflop_per_second", .number(figure.limits.gigaoperationsPerSecond)),
      ("share_of_arithmetic", .number(figure.shareOfArithmetic)),
    ])
  }

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
