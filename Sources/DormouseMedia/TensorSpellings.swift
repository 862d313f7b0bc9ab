import DormouseWeights

/// Finds a tensor under the names that publishers and libraries have given it.
struct TensorSpellings {
  let checkpoint: Checkpoint
  /// What may stand before a name.
  let prefixes: [String]

  /// The first of `spellings` that a file has, with `ending` behind it; else the first, which failures then name.
  func find(_ spellings: [String], ending: String = ".weight") -> String {
    for spelling in spellings {
      for prefix in prefixes where checkpoint.has(prefix + spelling + ending) {
        return prefix + spelling
      }
    }
    return (prefixes.first ?? "") + (spellings.first ?? "")
  }
}
