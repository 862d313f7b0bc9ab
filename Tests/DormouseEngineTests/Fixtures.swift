/// Files of this repository, found from the place of this source.
enum Fixtures {
  private static let root = String(#filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 })

  /// - Parameter name: below `Tests/`.
  static func path(_ name: String) -> String { root + "/Tests/" + name }

  /// The model that ships.
  static let shippedModel = root + "/examples/models/dormouse-tiny"
}
