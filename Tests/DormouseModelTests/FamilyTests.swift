import DormouseModel
import DormouseSupport
import Testing

@Suite struct FamilyTests {
  private static let sources = "../../Sources/DormouseModel"

  /// Only the files of Families tell one architecture from another: a name of one in any other file is a question.
  @Test func nothingElseAsksWhichFamilyItIs() throws {
    let files = Fixtures.list(Self.sources).filter { $0.hasSuffix(".swift") }
    #expect(files.count > 20)
    let cases =
      ModelConfiguration.Architecture.allCases.map { ".\($0)" } + ModelConfiguration.Composite.allCases.map { ".\($0)" }
    for file in files {
      let bytes = try File(path: Fixtures.path("\(Self.sources)/\(file)")).readAll(limit: 1 << 20)
      let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
      for (index, line) in lines.enumerated() {
        for name in cases where Self.mentions(line, name) {
          Issue.record("\(file), line \(index + 1) asks for \(name)")
        }
      }
    }
  }

  /// Whether a line of code has `name` and no longer word that begins with it.
  private static func mentions(_ line: Substring, _ name: String) -> Bool {
    guard let start = line.firstRange(of: name), !line.drop(while: { $0 == " " }).hasPrefix("//") else { return false }
    return !(line[start.upperBound...].first?.isLetter ?? false)
  }
}
