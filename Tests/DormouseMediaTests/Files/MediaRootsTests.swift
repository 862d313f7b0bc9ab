import DormouseMedia
import DormouseSupport
import Glibc
import Testing

@Suite struct MediaRootsTests {
  private let folder: TemporaryFolder
  /// The folder without links, since /tmp may be one.
  private let path: String

  init() throws {
    folder = try TemporaryFolder()
    path = try #require(File.canonicalPath(folder.path))
    try folder.write("inside", Array("inside".utf8))
  }

  private func status(_ path: String, _ roots: MediaRoots) -> Status? {
    do throws(Failure) { _ = try roots.open(path) } catch { return error.status }
    return nil
  }

  private func contents(_ file: RootedFile) throws -> [UInt8] { try File(path: file.path).readAll(limit: 100) }

  @Test func filesInside() throws {
    let roots = try MediaRoots([folder.path])
    #expect(roots.folders == [path])
    #expect(try contents(try roots.open(path + "/inside")) == Array("inside".utf8))
    #expect(try contents(try roots.open(path + "/../\(path.split(separator: "/").last ?? "")//inside")).count == 6)
    #expect(status(path + "/missing", roots) == .notFound)
    #expect(mkdir(path + "/deeper", 0o700) == 0)
    #expect { try roots.open(path + "/deeper") } throws: { "\($0)" == "'\(path)/deeper': this is a folder, not a file" }
    // C would see 'inside'.
    #expect { try roots.open(path + "/inside\0.txt") } throws: {
      ($0 as? Failure)?.status == .invalidArgument && "\($0)".contains("a path with a NUL character names no file")
    }
  }

  @Test func relativePathsBeginInTheBase() throws {
    let inside = path + "/below"
    try #require(mkdir(inside, 0o700) == 0)
    defer { rmdir(inside) }
    let roots = try MediaRoots([path], base: inside)
    #expect(roots.base == inside)
    #expect(try contents(try roots.open("../inside")) == Array("inside".utf8))
    #expect(try contents(try roots.open(path + "/inside")) == Array("inside".utf8))
    // What is not there is named by its place, and what is outside stays outside.
    #expect { try roots.open("inside") } throws: {
      ($0 as? Failure)?.status == .notFound && "\($0)".contains("'\(inside)/inside': no such file")
    }
    #expect(status("../../etc/passwd", roots) == .invalidArgument)
    #expect(throws: Failure.self) { try MediaRoots([path], base: path + "/missing") }
    #expect(status("inside", try MediaRoots([path])) == .invalidArgument)
    #expect(try contents(try MediaRoots(["/"], base: "/").open(String(path.dropFirst()) + "/inside")).count == 6)
  }

  @Test func nothingWithoutRoots() {
    #expect { try MediaRoots.none.open(path + "/inside") } throws: {
      ($0 as? Failure)?.status == .invalidArgument && "\($0)".contains("allows no media files")
    }
  }

  @Test func filesOutside() throws {
    let roots = try MediaRoots([path])
    for outside in ["/etc/passwd", path + "/../../etc/passwd", "/nowhere/at/all", path, path + "/..", "", "/"] {
      #expect(status(outside, roots) == .invalidArgument, "\(outside)")
    }
    // A folder whose name only begins like a root.
    let neighbour = path + "-neighbour"
    #expect(mkdir(neighbour, 0o700) == 0)
    defer { rmdir(neighbour) }
    #expect(!roots.contain(neighbour + "/file"))
    #expect(status(neighbour + "/missing", roots) == .invalidArgument)
  }

  @Test func linksAreFollowedFirst() throws {
    let roots = try MediaRoots([path])
    #expect(symlink("/etc/passwd", path + "/escape") == 0)
    #expect(symlink(path + "/inside", path + "/alias") == 0)
    #expect(status(path + "/escape", roots) == .invalidArgument)
    #expect(try contents(try roots.open(path + "/alias")).count == 6)
  }

  @Test func anOpenFileStaysWhatItIs() throws {
    let file = try MediaRoots([path]).open(path + "/inside")
    #expect(rename(path + "/inside", path + "/moved") == 0)
    #expect(symlink("/etc/passwd", path + "/inside") == 0)
    #expect(try contents(file) == Array("inside".utf8))
  }

  @Test func rootsMustExist() {
    #expect { try MediaRoots([path + "/inside"]) } throws: { ($0 as? Failure)?.status == .notFound }
    #expect { try MediaRoots(["/nowhere"]) } throws: { "\($0)".contains("'/nowhere'") }
    #expect { try MediaRoots(["/etc\0"]) } throws: { ($0 as? Failure)?.status == .notFound }
  }
}

@Suite struct MediaSourceTests {
  private func failure(_ reference: String, _ roots: MediaRoots = .none) -> Failure? {
    do throws(Failure) { _ = try MediaSource(reference: reference, name: "image 1", roots: roots, byteLimit: 9) } catch
    {
      return error
    }
    return nil
  }

  @Test(arguments: ["http://host/a.png", "https://host", "FTP://x", "concat:a|b", "rtsp://x", "x:y"])
  func nothingIsFetched(reference: String) {
    #expect(failure(reference)?.status == .unsupported)
    #expect(failure(reference)?.message.contains("is not fetched") == true)
  }

  @Test func fileURLs() throws {
    let folder = try TemporaryFolder()
    try folder.write("a b%", [1, 2])
    let roots = try MediaRoots([folder.path])
    for url in [
      "file://\(folder.path)/a%20b%25", "file:\(folder.path)/a%20b%25", "FILE://localhost\(folder.path)/a b%25",
    ] {
      #expect(failure(url, roots) == nil, "\(url)")
    }
    #expect(failure(folder.path + "/a b%", roots) == nil)
    for url in ["file://host/x", "file:x", "file:////x", "file:///%", "file:///%2", "file:///%00", "file:///%+1"] {
      #expect(failure(url, roots)?.status == .invalidArgument, "\(url)")
    }
    #expect(failure("file://\(folder.path)/a%00b", roots)?.message.contains("NUL") == true)
    #expect(failure("file:///etc/passwd", roots)?.message.contains("outside") == true)
  }

  @Test func dataURLs() {
    #expect(failure("data:image/png;base64,Zm8=") == nil)
    #expect(failure("data:image/png;base64,Zm9vYmFyZm9vYmFy")?.message.contains("limit, 9") == true)
  }
}
