import Glibc
import Testing

@testable import DormouseSupport

/// Control group quotas, read from a folder that looks like /sys/fs/cgroup.
@Suite struct ProcessorCountTests {
  @Test func noQuota() throws {
    let root = try Folder(["cpu.max": "max 100000\n"])
    #expect(ProcessorCount.quota(membership: "0::/\n", root: root.path) == nil)
    #expect(ProcessorCount.quota(membership: "", root: root.path) == nil)
    #expect(ProcessorCount.quota(membership: "0::/gone\n", root: root.path + "/nowhere") == nil)
  }

  @Test func version2RoundsUpAndTakesTheTightestAbove() throws {
    let root = try Folder([
      "cpu.max": "max 100000\n", "a/cpu.max": "250000 100000\n", "a/b/cpu.max": "800000 100000\n",
    ])
    #expect(ProcessorCount.quota(membership: "0::/a/b\n", root: root.path) == 3)
    #expect(ProcessorCount.quota(membership: "0::/a/b/gone\n", root: root.path) == 3)
    #expect(ProcessorCount.quota(membership: "0::/\n", root: root.path) == nil)
  }

  @Test func version1() throws {
    let root = try Folder([
      "cpu/x/cpu.cfs_quota_us": "50000\n", "cpu/x/cpu.cfs_period_us": "100000\n", "cpu/y/cpu.cfs_quota_us": "-1\n",
      "cpu/y/cpu.cfs_period_us": "100000\n",
    ])
    #expect(ProcessorCount.quota(membership: "5:memory:/x\n4:cpu,cpuacct:/x\n", root: root.path) == 1)
    #expect(ProcessorCount.quota(membership: "4:cpu,cpuacct:/y\n", root: root.path) == nil)
  }

  @Test(arguments: ["", "1\n", "x y\n", "100000 0\n", "-5 100000\n", "1 2 3\n"])
  func ignoresNonsense(text: String) throws {
    let root = try Folder(["cpu.max": text])
    #expect(ProcessorCount.quota(membership: "0::/\n", root: root.path) == nil)
    #expect(ProcessorCount.quota(membership: text, root: root.path) == nil)
  }
}

/// A folder of small files that goes away with this object.
private final class Folder {
  let path: String
  private var made: [String] = []

  init(_ files: KeyValuePairs<String, String>) throws {
    var template = Array("/tmp/dormouse-XXXXXX".utf8CString)
    path = String(cString: try #require(mkdtemp(&template)))
    for (name, text) in files {
      makeParents(of: name)
      let file = try #require(fopen(path + "/" + name, "w"))
      fputs(text, file)
      fclose(file)
      made.append(path + "/" + name)
    }
  }

  deinit {
    for name in made.reversed() { remove(name) }
    rmdir(path)
  }

  private func makeParents(of name: String) {
    var folder = path
    for part in name.split(separator: "/").dropLast() {
      folder += "/" + part
      if mkdir(folder, 0o700) == 0 { made.append(folder) }
    }
  }
}
