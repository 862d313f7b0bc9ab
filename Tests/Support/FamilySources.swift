import DormouseSupport
import Testing

/// Only the files of `Families` tell one architecture from another: a name of one in any other file is a question.
enum FamilySources {
  /// Complains about lines of code in a folder of sources, and in those below it, that name a case.
  /// - Parameter names: of cases: `voxtral`.
  static func expectNoQuestions(_ folder: String, _ names: [String]) throws {
    let files = files("../../Sources/\(folder)")
    #expect(files.count > 20)
    for file in files { try check(file, names.map { ".\($0)" }) }
  }

  private static func files(_ folder: String) -> [String] {
    Fixtures.list(folder).filter { $0 != "Families" }.flatMap { name in
      name.hasSuffix(".swift") ? ["\(folder)/\(name)"] : files("\(folder)/\(name)")
    }
  }

  private static func check(_ file: String, _ cases: [String]) throws {
    let bytes = try File(path: Fixtures.path(file)).readAll(limit: 1 << 20)
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      for name in cases where mentions(line, name) { Issue.record("\(file), line \(index + 1) asks for \(name)") }
    }
  }

  /// Whether a line of code has `name` and no longer word that begins with it.
  private static func mentions(_ line: Substring, _ name: String) -> Bool {
    guard let start = line.firstRange(of: name), !line.drop(while: { $0 == " " }).hasPrefix("//") else { return false }
    return !(line[start.upperBound...].first?.isLetter ?? false)
  }
}
