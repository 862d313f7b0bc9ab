internal import CPlatform

/// Floats of scratch memory that `packPanel` needs: the panel by columns, its scales, and tables.
@inline(never) func packPanelScratch(_ groups: Int) -> Int { groups &* 33 &* 16 &+ LevelTables.floatCount }

/// Packs sixteen rows of weights into a panel (`platform_panels`). Each row has a lane of its own throughout.
///
/// A group's scale is chosen for the least squared error: of int8 the one that makes its greatest magnitude 127, of
/// int4 the best of several. A row with a NaN or an infinity gets a factor of NaN, so that it shows in the product.
///
/// rows: [16, 32 * groups], zero where the matrix has no more rows or columns; panel: `platform_panel_byte_count` bytes;
/// scratch: `packPanelScratch(groups)` floats.
@inline(never) func packPanel(
  _ type: Int32, _ rows: UnsafePointer<platform_floats>, _ panel: UnsafeMutableRawPointer, _ scratch: MutableFloats
) {
  let groups = rows.pointee.columns / 32
  let packing = Packing(groups: groups, panel: panel, columns: scratch, scales: scratch + groups &* 32 &* 16)
  transpose(rows, packing.columns, 16)
  if type == Int32(PLATFORM_PANELS_INT4) {
    let tables = LevelTables(scratch + groups &* 33 &* 16)
    for g in 0..<groups { packing.putFourBitScale(g, tables) }
    packing.storeFactors()
    for g in 0..<groups { packing.storeFour(g, packing.storeScales(g, isUpward: false), tables) }
  } else {
    for g in 0..<groups { packing.put(eightBitScale(packing.group(g)), g) }
    packing.storeFactors()
    for g in 0..<groups { packing.storeEight(g, packing.storeScales(g, isUpward: true)) }
  }
}

private struct Packing {
  let groups: Int
  let panel: UnsafeMutableRawPointer
  /// [32 * groups, 16 rows].
  let columns: MutableFloats
  /// [groups, 16 rows], before they are rounded.
  let scales: MutableFloats

  @inline(__always) func group(_ g: Int) -> Floats { Floats(columns + g &* 32 &* 16) }

  @inline(__always) func put(_ scale: SixteenFloats, _ g: Int) {
    UnsafeMutableRawPointer(scales + g &* 16).storeBytes(of: scale, as: SixteenFloats.self)
  }

  /// The factors that give each row's greatest scale the square of 127.
  @inline(__always) func storeFactors() {
    let factors = greatestMagnitudes(Floats(scales), groups) * sixteen(1 / (127 * 127))
    // Below, an inverse could be infinite: such a row is nothing but zeroes.
    panel.storeBytes(
      of: factors.replacing(with: sixteen(0), where: factors .< sixteen(0x1p-110)), as: SixteenFloats.self)
  }

  /// Rounds a group's scales and returns the inverse of what they stand for now; 0 where there is none.
  /// - Parameter isUpward: whether none may become less than it was.
  @inline(__always) func storeScales(_ g: Int, isUpward: Bool) -> SixteenFloats {
    let factors = panel.loadUnaligned(as: SixteenFloats.self)
    let wanted = loadSixteen(scales + g &* 16)
    let isUsable = factors .> sixteen(0)
    let squares = sixteen(0).replacing(with: magnitudes(wanted) / factors, where: isUsable)
    let roots = squares.squareRoot()
    var sizes = roundedSixteen(roots)
    if isUpward { sizes = sizes.replacing(with: sizes &+ 1, where: sixteenFloats(sizes) .< roots) }
    // The greatest may come out a little above 127.
    sizes = sizes.replacing(with: SixteenInts(repeating: 127), where: sizes .> SixteenInts(repeating: 127))
    let numbers = sizes.replacing(with: 0 &- sizes, where: wanted .< sixteen(0))
    storeBytes(numbers, (panel + (64 &+ g &* 16)).assumingMemoryBound(to: Int8.self))
    let stored = sixteenFloats(numbers) * sixteenFloats(sizes) * factors
    return sixteen(0).replacing(with: sixteen(1) / stored, where: isUsable .& (sizes .> SixteenInts(repeating: 0)))
  }

  /// Rounded and moved up by 128. The scale was rounded upward: 127 may have become a little more, but not 127.5.
  @inline(__always) func storeEight(_ g: Int, _ inverse: SixteenFloats) {
    let x = group(g)
    let out = panel + (platform_panel_head_byte_count(groups) &+ g &* Int8Panels.groupByteCount)
    for step in 0..<8 {
      var bytes = SixteenInts(repeating: 0)
      for j in 0..<4 {
        let value = roundedSixteen(loadSixteen(x + (step &* 4 &+ j) &* 16) * inverse) &+ SixteenInts(repeating: 128)
        bytes |= (value & SixteenInts(repeating: 255)) &<< SixteenInts(repeating: Int32(truncatingIfNeeded: 8 &* j))
      }
      out.storeBytes(of: bytes, toByteOffset: step &* 64, as: SixteenInts.self)
    }
  }

  @inline(__always) func storeFour(_ g: Int, _ inverse: SixteenFloats, _ tables: LevelTables) {
    let x = group(g)
    // The scale is stored: its place is free.
    put(inverse, g)
    let inverses = Floats(scales + g &* 16)
    let out = panel + (platform_panel_head_byte_count(groups) &+ g &* Int4Panels.groupByteCount)
    for pair in 0..<4 {
      var row = 0
      while row < 16 {
        let codes = nearestCodes(x + (pair &* 8 &* 16 &+ row), load(inverses + row), tables)
        out.storeBytes(of: codes, toByteOffset: pair &* 64 &+ row &* 4, as: IntVector.self)
        row &+= lanes
      }
    }
  }

  /// The best of several for int4: see `bestScales`.
  @inline(__always) func putFourBitScale(_ g: Int, _ tables: LevelTables) {
    let tops = greatestMagnitudes(group(g), 32)
    let isEmpty = tops .< sixteen(1e-30)
    let isFinite = tops .< sixteen(.infinity)
    // Zero for a group that has a NaN or an infinity, too, or nothing.
    let norms = sixteen(0).replacing(with: sixteen(127) / tops, where: isFinite .& .!isEmpty)
    put(norms, g)
    var row = 0
    while row < 16 {
      let place = scales + (g &* 16 &+ row)
      store(bestScales(group(g) + row, load(Floats(place)), tables), place)
      row &+= lanes
    }
    let best = loadSixteen(Floats(scales + g &* 16)) / norms
    put(sixteen(.nan).replacing(with: best.replacing(with: sixteen(0), where: isEmpty), where: isFinite), g)
  }
}

// MARK: - Scales

/// The greatest magnitude in each lane of `x` [count, 16]; NaN or infinity if there is one.
@inline(__always) private func greatestMagnitudes(_ x: Floats, _ count: Int) -> SixteenFloats {
  var top = SixteenInts(repeating: 0)
  for i in 0..<count {
    let magnitude = magnitudeBits(loadSixteen(x + i &* 16))
    top = top.replacing(with: magnitude, where: magnitude .> top)
  }
  return unsafeBitCast(top, to: SixteenFloats.self)
}

@inline(__always) private func eightBitScale(_ x: Floats) -> SixteenFloats {
  var scale = greatestMagnitudes(x, 32) * sixteen(1.0 / 127)
  for r in 0..<16 where !(scale[r] < .infinity) { scale[r] = .nan }
  return scale
}
