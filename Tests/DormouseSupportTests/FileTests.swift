import DormouseSupport
import Glibc
import Testing

@Suite struct FileTests {
  /// A file of `bytes` in /tmp that lives as long as this object.
  private final class Temporary {
    let path: String

    init(_ bytes: [UInt8]) throws {
      var template = Array("/tmp/dormouse-support-XXXXXX".utf8CString)
      let descriptor = mkstemp(&template)
      try #require(descriptor >= 0)
      path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
      let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      close(descriptor)
      try #require(written == bytes.count)
    }

    deinit { unlink(path) }
  }

  private func failure<Value>(_ body: () throws(Failure) -> Value) -> Failure? {
    do throws(Failure) { _ = try body() } catch { return error }
    return nil
  }

  @Test func readsWhatIsThere() throws {
    let temporary = try Temporary(Array(0..<100))
    let file = try File(path: temporary.path)
    #expect(file.size == 100)
    #expect(try file.read(at: 10, count: 3) == [10, 11, 12])
    #expect(try file.read(at: 100, count: 0) == [])
    #expect(try file.readAll(limit: 100) == Array(0..<100))
  }

  @Test(arguments: [(-1, 1), (0, 101), (101, 0), (100, 1), (0, -1), (Int.max, 1), (1, Int.max), (Int.min, Int.min)])
  func refusesRangesOutsideTheFile(_ offset: Int, _ count: Int) throws {
    let temporary = try Temporary(Array(0..<100))
    let file = try File(path: temporary.path)
    let found = failure { () throws(Failure) in try file.read(at: offset, count: count) }
    #expect(found?.status == .malformed)
    #expect(found?.message.hasPrefix(temporary.path) == true)
  }

  @Test func refusesMoreThanTheLimit() throws {
    let temporary = try Temporary(Array(0..<100))
    let file = try File(path: temporary.path)
    let found = failure { () throws(Failure) in try file.readAll(limit: 99) }
    #expect(found == Failure(.malformed, "\(temporary.path): the file has 100 bytes, more than the limit of 99"))
  }

  @Test func tellsMissingFromUnreadable() throws {
    #expect(failure { () throws(Failure) in try File(path: "/nowhere/at/all") }?.status == .notFound)
    #expect(failure { () throws(Failure) in try File(path: "/etc/passwd/x") }?.status == .notFound)
    #expect(failure { () throws(Failure) in try File(path: "") }?.status == .notFound)
    #expect(
      failure { () throws(Failure) in try File(path: "/tmp") }
        == Failure(.inputOutput, "/tmp: this is a folder, not a regular file"))
    #expect(failure { () throws(Failure) in try File(path: "/dev/null") }?.status == .inputOutput)
    let long = String(repeating: "x", count: 5000)
    #expect(failure { () throws(Failure) in try File(path: long) }?.status == .inputOutput)
  }

  @Test func aNulDoesNotShortenAPath() throws {
    let temporary = try Temporary([1])
    let found = failure { () throws(Failure) in try File(path: temporary.path + "\0.other") }
    #expect(found?.status == .notFound)
    #expect(!File.exists(temporary.path + "\0.other"))
    #expect(!File.isFolder("/tmp\0x"))
  }

  /// Opening a named pipe for reading waits for a writer unless told not to.
  @Test func doesNotWaitForAPipe() throws {
    let temporary = try Temporary([])
    #expect(unlink(temporary.path) == 0 && mkfifo(temporary.path, 0o600) == 0)
    let found = failure { () throws(Failure) in try File(path: temporary.path) }
    #expect(found == Failure(.inputOutput, "\(temporary.path): not a regular file"))
  }

  @Test func knowsFoldersFromFiles() throws {
    let temporary = try Temporary([])
    #expect(File.exists(temporary.path) && !File.isFolder(temporary.path))
    #expect(File.exists("/tmp") && File.isFolder("/tmp") && File.isFolder("/tmp/"))
    #expect(!File.exists("/nowhere") && !File.isFolder("/nowhere"))
  }

  @Test func seesAFileThatShrank() throws {
    let temporary = try Temporary(Array(0..<100))
    let file = try File(path: temporary.path)
    #expect(truncate(temporary.path, 50) == 0)
    let read = failure { () throws(Failure) in try file.read(at: 0, count: 100) }
    #expect(read == Failure(.inputOutput, "\(temporary.path): the file became shorter while it was read"))
    let mapped = failure { () throws(Failure) in try file.map() }
    #expect(mapped?.status == .inputOutput)
    #expect(mapped?.message.contains("had 100 bytes when it was opened and has 50 now") == true)
  }

  @Test func aMapOutlivesItsFile() throws {
    var map: MappedFile?
    do {
      let temporary = try Temporary(Array(0..<100))
      map = try File(path: temporary.path).map()
    }
    let bytes = try #require(map?.bytes)
    #expect(bytes.elementsEqual(0..<100))
    for range in [0..<100, -5..<3, 90..<1000, 50..<50, Int.min..<Int.max, 200..<300] { map?.prefetch(range) }
    #expect(bytes[99] == 99)
  }

  @Test func mapsAnEmptyFile() throws {
    let temporary = try Temporary([])
    let map = try File(path: temporary.path).map()
    #expect(map.bytes.count == 0)
    map.prefetch(0..<10)
  }

  @Test func readJSONNamesTheFile() throws {
    let good = try Temporary(Array("{\"a\":1}".utf8))
    #expect(try File.readJSON(good.path)["a"] == 1)
    let bad = try Temporary(Array("{\"a\":}".utf8))
    let found = failure { () throws(Failure) in try File.readJSON(bad.path) }
    #expect(found?.message.hasPrefix("\(bad.path): not valid JSON at byte 5") == true)
    let empty = try Temporary([])
    #expect(failure { () throws(Failure) in try File.readJSON(empty.path) }?.status == .malformed)
    let large = failure { () throws(Failure) in try File.readJSON(good.path, limits: JSON.Limits(bytes: 3)) }
    #expect(large?.message.contains("more than the limit of 3") == true)
  }
}
