/// Numbers in the words of people.
enum Units {
  /// 1234567 -> "1.18 MiB".
  static func bytes(_ count: Double) -> String {
    scaled(count, step: 1024, units: ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"])
  }

  static func bytes(_ count: UInt64) -> String { bytes(Double(count)) }

  /// 15728640 -> "15.7 M".
  static func count(_ count: Double) -> String {
    scaled(count, step: 1000, units: ["", "K", "M", "B", "T"])
  }

  /// 31200000000 -> "31.2 GB/s".
  static func bytesPerSecond(_ rate: Double) -> String {
    scaled(rate, step: 1000, units: ["bytes/s", "kB/s", "MB/s", "GB/s", "TB/s"])
  }

  /// 98000000000 -> "98.0 GFLOP/s".
  static func operationsPerSecond(_ rate: Double) -> String {
    scaled(rate, step: 1000, units: ["FLOP/s", "kFLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s"])
  }

  static func percent(_ share: Double) -> String { decimal(share * 100, digits: 1) + " %" }

  /// 4997120 -> "4,997,120".
  static func grouped(_ value: UInt64) -> String {
    var digits = Array(String(value))
    var index = digits.count - 3
    while index > 0 {
      digits.insert(",", at: index)
      index -= 3
    }
    return String(digits)
  }

  /// A number with a fixed count of digits behind the point (at most 6).
  static func decimal(_ value: Double, digits: Int) -> String {
    guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
    let factor = (0..<digits).reduce(1.0) { result, _ in result * 10 }
    let scaled = UInt64((value.magnitude * factor).rounded())
    let sign = value < 0 && scaled > 0 ? "-" : ""
    guard digits > 0 else { return "\(sign)\(scaled)" }
    let fraction = String(scaled % UInt64(factor))
    return "\(sign)\(scaled / UInt64(factor))." + String(repeating: "0", count: digits - fraction.count) + fraction
  }

  private static func scaled(_ value: Double, step: Double, units: [String]) -> String {
    var value = value
    var index = 0
    while value >= step, index < units.count - 1 {
      value /= step
      index += 1
    }
    let digits = index == 0 ? 0 : (value >= 100 ? 0 : (value >= 10 ? 1 : 2))
    let number = decimal(value, digits: digits)
    return units[index].isEmpty ? number : "\(number) \(units[index])"
  }
}

/// Lines of a name and a value, the values under one another.
struct Table {
  private var rows: [(name: String, value: String)] = []

  mutating func add(_ name: String, _ value: String?) {
    if let value, !value.isEmpty { rows.append((name, value)) }
  }

  var text: String {
    let width = (rows.map(\.name.count).max() ?? 0) + 2
    return rows.map { row in
      let value = row.value.replacing("\n", with: "\n" + String(repeating: " ", count: width))
      return row.name + String(repeating: " ", count: width - row.name.count) + value
    }.joined(separator: "\n")
  }
}
