import DormouseSupport
import Testing

/// What Git LFS leaves in a file's place is named, wherever a whole file is read.
@Suite struct GitPointerTests {
  private static let pointer = """
    version https://git-lfs.github.com/spec/v1
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
    size 14483234

    """

  private func reading(_ contents: String, _ read: (String) throws -> Void) throws -> Failure? {
    let folder = try TemporaryFolder()
    try folder.write("config.json", Array(contents.utf8))
    do { try read(folder.path + "/config.json") } catch { return error as? Failure }
    return nil
  }

  @Test func isNamed() throws {
    for read in [{ _ = try File.readJSON($0) }, { _ = try File(path: $0).readAll(limit: 1 << 20) }]
      as [(String) throws -> Void]
    {
      let failure = try #require(try reading(GitPointerTests.pointer, read))
      #expect(failure.status == .malformed)
      #expect(
        failure.message.hasSuffix(
          "/config.json: a Git LFS pointer and not the file itself of 14483234 bytes: run 'git lfs pull' in its "
            + "folder, or download it again"))
    }
  }

  @Test(arguments: ["size many", "size 99999999999999999999999", "size ", ""])
  func aSizeThatCannotBeReadIsLeftOut(_ size: String) throws {
    let failure = try reading("version https://git-lfs.github.com/spec/v1\n\(size)\n") { _ = try File.readJSON($0) }
    #expect(failure?.message.contains("and not the file itself: run") == true)
  }

  /// A pointer is a small file and begins so.
  @Test func otherFilesAreRead() throws {
    let long = GitPointerTests.pointer + String(repeating: "x", count: 1024)
    for contents in [long, " " + GitPointerTests.pointer, "version", ""] {
      #expect(try reading(contents) { _ = try File(path: $0).readAll(limit: 1 << 20) } == nil)
    }
  }
}
