import DormouseSupport
import Glibc
import Testing

@Suite struct ReplacementFileTests {
  /// A folder in /tmp that goes with this object.
  private final class Folder {
    let path: String
    var file: String { path + "/file" }

    init() throws {
      var template = Array("/tmp/dormouse-replacement-XXXXXX".utf8CString)
      try #require(mkdtemp(&template) != nil)
      path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
      for name in ["file", "file.tmp"] { unlink("\(path)/\(name)") }
      rmdir(path)
    }

    func write(_ text: String, commits: Bool) throws {
      let bytes = Array(text.utf8)
      let file = try ReplacementFile(path: file, byteCount: bytes.count)
      try bytes.withUnsafeBytes { try file.write($0, at: 0) }
      if commits { try file.commit() }
    }

    var contents: String? {
      guard let bytes = try? File(path: file).readAll(limit: 100) else { return nil }
      return String(decoding: bytes, as: UTF8.self)
    }
    var hasTemporary: Bool { File.exists(file + ".tmp") }
  }

  @Test func takesItsPlaceAtCommitOnly() throws {
    let folder = try Folder()
    try folder.write("first and long", commits: true)
    #expect(folder.contents == "first and long" && !folder.hasTemporary)
    try folder.write("given up", commits: false)
    #expect(folder.contents == "first and long" && !folder.hasTemporary)
    try folder.write("second", commits: true)
    #expect(folder.contents == "second" && !folder.hasTemporary)
  }

  /// From the first byte on, and also over what is there. One after the other: they share the process's umask.
  @Test(.serialized, arguments: [true, false]) func privateFilesAreTheirOwnersAlone(isPrivate: Bool) throws {
    let before = umask(0)
    defer { umask(before) }
    let folder = try Folder()
    func mode(_ path: String) -> mode_t? {
      var information = stat()
      return stat(path, &information) == 0 ? information.st_mode & 0o777 : nil
    }
    for leftover in [nil, folder.file, folder.file + ".tmp"] {
      if let leftover { close(open(leftover, O_CREAT | O_WRONLY, 0o666)) }
      let file = try ReplacementFile(path: folder.file, byteCount: 1, isPrivate: isPrivate)
      #expect(mode(folder.file + ".tmp") == (isPrivate ? 0o600 : 0o666))
      try file.commit()
      #expect(mode(folder.file) == (isPrivate ? 0o600 : 0o666))
    }
  }

  @Test func oneWriterAtATime() throws {
    let folder = try Folder()
    let first = try ReplacementFile(path: folder.file, byteCount: 1)
    let failure = #expect(throws: Failure.self) { _ = try ReplacementFile(path: folder.file, byteCount: 1) }
    #expect(failure?.status == .busy && folder.hasTemporary)
    try first.commit()
    #expect(folder.contents == "")
  }

  @Test func writesOverWhatAKilledProcessLeft() throws {
    let folder = try Folder()
    let descriptor = open(folder.file + ".tmp", O_CREAT | O_WRONLY, 0o600)
    #expect(Glibc.write(descriptor, "much longer than the new one", 28) == 28)
    close(descriptor)
    try folder.write("new", commits: true)
    #expect(folder.contents == "new" && !folder.hasTemporary)
  }

  @Test func refusesWhatHasNoRoom() throws {
    let folder = try Folder()
    let failure = #expect(throws: Failure.self) {
      _ = try ReplacementFile(path: folder.file, byteCount: Int.max)
    }
    #expect(failure?.status == .inputOutput && !folder.hasTemporary)
    let missing = #expect(throws: Failure.self) { _ = try ReplacementFile(path: "/no/such/file", byteCount: 1) }
    #expect(missing?.status == .notFound)
  }
}
