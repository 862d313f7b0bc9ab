/// What Git leaves in a large file's place where Git LFS was not installed, or was told to skip it: a text of some lines,
/// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
///
///     version https://git-lfs.github.com/spec/v1
///     oid sha256:4665a5ea42...
///     size 31415926
public enum GitPointer {
  /// A pointer has less than this many bytes, by its specification.
  private static let byteLimit = 1024
  private static let beginning = "version https://git-lfs.github.com/spec/"

  /// Whether the bytes of a whole file are a pointer.
  static func isOne(_ bytes: [UInt8]) -> Bool {
    bytes.count < byteLimit && bytes.starts(with: beginning.utf8)
  }

  /// - Throws: `Failure(.malformed)` where `file` is a pointer.
  public static func refuse(_ file: File) throws(Failure) {
    guard file.size < byteLimit else { return }
    let bytes = try file.read(at: 0, count: file.size)
    if isOne(bytes) { throw failure(file.path, bytes) }
  }

  static func failure(_ path: String, _ bytes: [UInt8]) -> Failure {
    let size = size(bytes).map { " of \($0) bytes" } ?? ""
    return Failure(
      .malformed,
      "\(path): a Git LFS pointer and not the file itself\(size): run 'git lfs pull' in its folder, or download it again"
    )
  }

  /// What the pointer says of the file.
  private static func size(_ bytes: [UInt8]) -> UInt64? {
    bytes.split(separator: UInt8(ascii: "\n")).lazy
      .filter { $0.starts(with: "size ".utf8) }
      .compactMap { UInt64(String(decoding: $0.dropFirst("size ".utf8.count), as: UTF8.self)) }.first
  }
}
