/// The fixtures folder.
enum Fixtures {
  static let folder: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
    return parts.joined(separator: "/") + "/Fixtures"
  }()

  static func path(_ name: String) -> String { "\(folder)/\(name)" }
}
