#include "dataset/compose_parts.h"

namespace vqcodec::dataset::compose {

namespace {

constexpr CompStyle kNoComp = {CompKind::kPad, "", "", 0};

constexpr const char* kPopForms = "IVCVCBCO|IVPCVPCBCCO|IVVCVCSCKCO|CIVCVCKCCO|IVCVCSKCO|IVPCKVPCSCO";
constexpr const char* kDanceForms = "IVPCKVPCCO|IVCKPCVCO|IKPCVKPCCO|IVVKCCKVCO";
constexpr const char* kJamForms = "IVVSSKVO|IVCVSSKCO|VVBVSSBVO|IVSVSKVO";
constexpr const char* kBallads = "IVVCVCBCO|IVCVCKCO|VPCVPCSCO";

constexpr const char* kStrums =
    "x---x-x-x---x-xx|x-----x-x---x-x-|x-x-x-x-x-x-x-x-|x---x-x-..x-x-x-|x-------x-----xx|x---x-xx..xxx-x-";
constexpr const char* kBlocks = "x-------x-------|x---------------|x---x---x---x---|x-----x-x-----x-|x-----x---x-----";
constexpr const char* kArpeggios = "x-x-x-x-x-x-x-x-|xxxxxxxxxxxxxxxx|x.x.x.x.x.x.x.x.|x--x--x-x--x--x-|x-xxx-xxx-xxx-xx";
constexpr const char* kPowers =
    "x-x-x-x-x-x-x-x-|x---------------|x--x--x-x--x--x-|x-..x-x-..x-x-..|x---x-x---x-x---|xxx-xxx-xxx-xxx-";
constexpr const char* kFunkStabs =
    "..x.s.x...x.s.x.|..s..x.s.x..x..s|....x..s....x.s.|x.s.s.x.s.xss.x.|.sx..sx..sx..sx.|....x.......x...";
constexpr const char* kHouseStabs = "x..x..x..x..x...|..x...x...x..x..|x..x..x.x..x..x.|..x..x..x..x..x.|x.....x...x.....";
constexpr const char* kJazzComps = "x-----x-........|..x---....x-....|......x-......x-|x-....x---......|....x.....x-..x.|x-----......x---";
constexpr const char* kBossaComps = "x--x--x---x--x--|x-----x-..x-..x-|..x---x-..x---x-|x--x--..x-x--x--";
constexpr const char* kSkanks = "....x.......x...|....x.......x...|....x.x.....x.x.";

std::vector<Style> make_styles() {
  return {
      {"rock", 96, 164, "4/4:80 6/8:8 3/4:3 5/4:5 7/8:4", 0, 0, 0, 9, false, kPopForms,
       "major:4 minor:3 mixolydian:3 dorian:2", "I V vi IV|I bVII IV I|vi IV I V|i bVI bIII bVII|I IV V IV|i bVII bVI bVII", 45,
       "1:7 2:2 h:2", 12, 8, 15, 12, 15, 15, "0:5 8:3 16:4",
       "x.......x.......|x.....x.x.......|x.....o.x.o.....|x..x....x.x.....|x.x.....x.x...o.|x.......xx....o.|x.....xx..x...o.",
       "....X.......X...|....X.......X.g.|....X..g.g..X..g|....X.g.....X..g",
       "hx.x.x.x.x.x.x.x.|hX.x.X.x.X.x.X.x.|hx.x.x.x.x.x.x.O.|rx.x.x.x.x.x.x.x.|hX...X...X...X...|eX.x.X.x.X.x.X.x.",
       "t....x.......x...|tx.x.x.x.x.x.x.x.|k....x.......x...", 20, 38, 100, "33:5 34:4 35:1",
       "R-R-R-R-R-R-R-R-|R-----R-R-----R-|R---R---R---R-A-|R-R-R-5-R-R-8-A-|R--R--R-R--R--A-|R-------R-R-5-A-|@kick|@kick|R-R-R-R-3-3-5-A-",
       70, 98,
       {{{CompKind::kPower, "29:5 30:4", kPowers, 75}, {CompKind::kStrum, "27:4 25:3 28:1", kStrums, 60},
         {CompKind::kBlock, "18:4 16:3 0:2", kBlocks, 35}, {CompKind::kPad, "48:2 50:2", "", 15},
         {CompKind::kArpeggio, "27:4 26:2", kArpeggios, 25}}},
       "53:3 80:1 29:1 65:1", "29:4 30:4 18:1"},
      {"punk", 160, 208, "4/4:95 6/8:5", 0, 0, 0, 7, false, "IVCVCBCO|IVCVCKCO|VCVCSCO", "major:5 minor:2 mixolydian:2",
       "I IV V IV|I V vi IV|I IV I V|vi IV I V|I bVII IV IV", 55, "1:7 h:2 2:1", 2, 2, 8, 8, 5, 15, "16:5 0:3 8:2",
       "x.......x.......|x.....x.x.....x.|x.x.....x.x.....|x.....x.x.x.....",
       "....X.......X...|..X...X...X...X.|....X.......X.X.", "hX.x.X.x.X.x.X.x.|eX...X...X...X...|rX...X...X...X...", "", 0, 38, 100,
       "34:7 33:2", "R-R-R-R-R-R-R-R-|R-R-R-R-R-R-R-R-|R-R-R-R-R-R-R-A-|R-R-R-R-5-5-R-A-|@kick", 75, 98,
       {{{CompKind::kPower, "30:5 29:4", "x-x-x-x-x-x-x-x-|x-x-x-x-x-x-x-x-|x---------------|x---x---x---x---", 100},
         {CompKind::kPower, "29:5 30:3", "x-x-x-x-x-x-x-x-|x-------x-------", 50}, kNoComp, kNoComp, kNoComp}},
       "53:2 81:1", "30:4 29:3"},
      {"metal", 110, 190, "4/4:75 6/8:10 7/8:8 5/4:7", 0, 0, 0, 4, false, kPopForms, "minor:6 phrygian:4 dorian:1",
       "i bVI bVII i|i bII i bVII|i bVII bVI V|i bIII bVII bVI", 50, "1:6 2:4 h:2", 0, 0, 4, 4, 5, 15, "16:8 0:2",
       "x.x.x.x.x.x.x.x.|xx.xxx.xxx.xxx.x|x..x..x.x..x..x.|xxxxxxxxxxxxxxxx|x.xx..x.x.xx..x.|x.......x.x.....",
       "....X.......X...|........X.......|....X.......X..g", "hX...X...X...X...|rX.x.X.x.X.x.X.x.|eX...X...X...X...|bX...X...X...X...", "",
       0, 40, 100, "34:7 33:2", "@kick|@kick|R-R-R-R-R-R-R-R-|R.RRR.RRR.RRR.RR|R--R--R-R--R--R-|RRRRRRRRRRRRRRRR", 65, 95,
       {{{CompKind::kPower, "30:8 29:2", "xxx.xxx.xxx.xxx.|x..x..x.x..x..x.|x---------------|xxxxxxxxxxxxxxxx|x-xxx-xxx-xxx-xx", 100},
         {CompKind::kPower, "30:5 29:4", "x---------------|x-------x-------|x..x..x.x..x..x.", 60},
         {CompKind::kPad, "48:3 52:3 95:1", "", 20}, {CompKind::kArpeggio, "27:3 30:2", kArpeggios, 25}, kNoComp}},
       "52:3 81:1 29:1", "30:5 29:2"},
      {"funk", 92, 120, "4/4:100", 1, 0, 22, 8, false, kJamForms, "dorian:5 mixolydian:4 minor:2",
       "i7 i7 i7 IV7|I7 I7 IV7 I7|i7 IV7|i7|i7 bIII bVII IV7|I7 bVII", 65, "1:5 2:5 h:1", 85, 45, 10, 15, 5, 10, "0:4 8:4 16:1",
       "x.....x...x.....|x..x......x..o..|x.x.......x..x..|x......x.xx....o|x.x...o...x..o..|x..x..x...x...o.",
       "....X..g.g..X..g|....X.g.....X.g.|....X..g.g.gX..g|....X..g.gg.X.g.",
       "hxxxxxxxxxxxxxxxx|hX.xxX.xxX.xxX.xx|hx.x.x.x.x.x.x.O.|hxxOxxxxxxxOxxxxx|hX.xxX.xxX.xOX.xx",
       "Cx..xx.x.x..xx.x.|sxxxxxxxxxxxxxxxx|k....x.......x...|tx.xxx.xxx.xxx.xx", 40, 38, 100, "36:3 33:5 37:3",
       "@funk|@funk|@funk|R..R..8.g.R.7.8.|R.gR..g.5.g7.8.A|R--.g.R8.g.5.7.A|R.R.....R8.7.5.A", 50, 85,
       {{{CompKind::kStab, "27:5 28:3", kFunkStabs, 95}, {CompKind::kStab, "7:5 4:4 16:2", kFunkStabs, 70},
         {CompKind::kStab, "61:5 56:2 62:2", "......x.x.......|x...............|..........x.x...|x..x............|............x.x.", 50},
         {CompKind::kBlock, "4:4 16:4 18:3", kBlocks, 25}, kNoComp}},
       "53:2 65:2 56:1 66:1", "65:3 66:2 27:2 16:2 62:1"},
      {"disco", 110, 128, "4/4:100", 0, 0, 0, 5, false, kPopForms, "minor:5 dorian:4 major:3",
       "i iv bVII bIII|i bVI bVII i|ii V I vi|i IV|vi ii V I|i bVII bVI V", 50, "1:6 2:4 h:1", 65, 35, 15, 15, 12, 20, "0:3 8:4 24:2 16:1",
       "x...x...x...x...|x...x...x...x.o.|x...x...x..xx...", "....X.......X...|....X.......X..g",
       "h..O...O...O...O.|hx.O.x.O.x.O.x.O.|hxxOxxxOxxxOxxxOx|hxxOxxxOxxxOxxxxx",
       "c....x.......x...|tx.xxx.xxx.xxx.xx|Cx..x..x...x..x..|sx.x.x.x.x.x.x.x.", 60, 38, 100, "33:5 36:2 38:3 34:1",
       "R.8.R.8.R.8.R.8.|R-8-R-8-R-8-R-8-|R.R8R.R8R.R8R.R8|R.8.R.8.5.8.A.8.|R..8..8.R..8..A.|R-8-R-8-7-8-5-A-|R.R.8.8.R.5.7.8.", 60,
       90,
       {{{CompKind::kStab, "27:6 28:2", kFunkStabs, 85}, {CompKind::kStab, "0:3 2:2 4:3 7:1", kHouseStabs, 60},
         {CompKind::kPad, "48:6 50:3", "", 75}, {CompKind::kStab, "61:4 56:1", "x..x............|......x.x.......|............x.x.", 35},
         {CompKind::kArpeggio, "81:2 46:1 11:1", kArpeggios, 20}}},
       "53:3 80:1 48:1", "65:2 81:2 48:1"},
      {"house", 118, 130, "4/4:100", 1, 0, 18, 3, false, kDanceForms, "minor:6 dorian:4 major:2",
       "i bVI bIII bVII|i iv|i bVII iv bVI|i|vi IV I V|i v bVI iv", 70, "1:5 2:5 4:1", 60, 45, 12, 4, 8, 8, "24:5 25:4 26:1",
       "x...x...x...x...|x...x...x...x..o", "....X.......X...|....X.......X...",
       "h..O...O...O...O.|hx.O.x.O.x.O.x.O.|hxxOxxxOxxxOxxxOx|h..O...O...O..xO.",
       "c....x.......x...|sxxxxxxxxxxxxxxxx|Cx..x..x...x..x..|k..x...x..x...x..|j...x..x....x..x.", 75, 39, 100, "38:5 39:4 33:1",
       "..R...R...R...R.|..R...R...R..RR.|R..R..R.R..R..R.|..RR..RR..RR..R8|.RRR.RRR.RRR.RRR|R..8..R...R..8..|..R..8..R...R.8.|R.....R..R....A.",
       40, 85,
       {{{CompKind::kStab, "0:4 2:2 4:2 16:2 81:2", kHouseStabs, 85}, {CompKind::kPad, "89:4 90:2 48:3 95:1", "", 65},
         {CompKind::kArpeggio, "81:4 80:3 87:1 11:1", kArpeggios, 45}, {CompKind::kStab, "62:3 63:3 81:2", kHouseStabs, 30}, kNoComp}},
       "54:3 80:2 81:2 53:2", "81:3 80:2 87:1"},
      {"techno", 126, 144, "4/4:100", 0, 0, 0, 0, false, kDanceForms, "minor:6 phrygian:3 dorian:2", "i|i i i bVI|i bII|i i bVII i|i iv",
       75, "2:5 4:4 1:2", 20, 15, 6, 2, 2, 4, "24:4 25:5 26:1", "x...x...x...x...|x...x...x...x...|x...x...x..xx...",
       "............x...|....X.......X...|................|.......o........",
       "h..O...O...O...O.|hx.O.x.O.x.O.x.O.|hxxOxxxOxxxOxxxOx|r..x...x...x...x.", "c....x.......x...|sx.xxx.xxx.xxx.xx|j..x..x....x..x..|Cx..x..x..x..x.x.",
       80, 39, 100, "38:5 39:5", "..R...R...R...R.|..RR..RR..RR..RR|.RRR.RRR.RRR.RRR|R.RR.RR.R.RR.RR.|R..R..R..R..R.R.|@random|@sub", 35,
       80,
       {{{CompKind::kArpeggio, "81:4 80:3 84:1 87:2", kArpeggios, 80}, {CompKind::kPad, "90:2 91:1 94:2 95:3", "", 60},
         {CompKind::kStab, "81:3 62:2 63:2 90:1", kHouseStabs, 60}, kNoComp, kNoComp}},
       "80:3 81:3 54:1", "81:3 87:2 80:2"},
      {"trance", 132, 142, "4/4:100", 0, 0, 0, 0, false, kDanceForms, "minor:8 major:2 dorian:1",
       "i bVI bIII bVII|i bVII bVI bVII|bVI bVII i i|i v bVI bVII|vi IV I V", 70, "1:6 2:4", 10, 20, 15, 3, 8, 15, "24:5 25:4",
       "x...x...x...x...", "....X.......X...|................", "h..O...O...O...O.|hxxOxxxOxxxOxxxOx", "c....x.......x...|sxxxxxxxxxxxxxxxx", 70, 39,
       100, "38:6 39:4", ".RRR.RRR.RRR.RRR|..R...R...R...R.|.RR8.RR8.RR8.RR8|..RR..RR..RR..RR|R.RRR.RRR.RRR.RR", 35, 75,
       {{{CompKind::kArpeggio, "81:5 80:2 84:1", kArpeggios, 95}, {CompKind::kPad, "89:3 90:4 50:2 94:1", "", 90},
         {CompKind::kStab, "81:4 90:3", kHouseStabs, 50}, kNoComp, kNoComp}},
       "81:4 80:3 54:2", "81:4 80:2"},
      {"synth_pop", 98, 130, "4/4:96 6/8:4", 0, 0, 0, 2, false, kPopForms, "major:5 minor:5 dorian:2",
       "I V vi IV|vi IV I V|i bVI bIII bVII|I vi IV V|IV V iii vi|i bVII bVI bVII|I iii IV V", 50, "1:7 2:3 h:1", 15, 20, 20, 10, 15, 20,
       "24:5 25:3 16:2", "x...x...x...x...|x.......x.......|x.....x.x.......|x..x..x.x.......|x.....x.x.x.....", "....X.......X...|....X.......X...",
       "hx.x.x.x.x.x.x.x.|hxxxxxxxxxxxxxxxx|h..O...O...O...O.|hx.O.x.O.x.O.x.O.", "c....x.......x...|tx.x.x.x.x.x.x.x.|c....x.......x.xx", 50, 40, 100,
       "38:5 39:5", "R.R.R.R.R.R.R.R.|R.RR.RR.R.RR.RR.|R.8.R.8.R.8.R.8.|RRRRRRRRRRRRRRRR|R..R..R.R..R..R.|R.R.R.R.R.R.5.A.|R-----R-R-----A-|@kick|R.R8R.R8R.R8R.R8",
       50, 95,
       {{{CompKind::kArpeggio, "81:4 80:3 84:2 87:1", kArpeggios, 75}, {CompKind::kPad, "50:3 51:3 89:2 90:3 95:1", "", 80},
         {CompKind::kStab, "62:4 63:3 81:2", kHouseStabs, 45}, {CompKind::kBlock, "5:3 4:2 0:1", kBlocks, 30}, {CompKind::kStrum, "27:3 28:1", kStrums, 20}}},
       "53:2 80:3 81:3 54:2", "80:3 81:4 84:1"},
      {"hip_hop", 76, 102, "4/4:100", 1, 8, 44, 8, false, "IVCVCVCO|IVCVCBCO|IVCVKVCO", "minor:6 dorian:4 phrygian:1 major:1",
       "i bVI|i iv|i bVII bVI V|i7 iv7|ii7 V7 I|i|i bVI iv V", 65, "1:6 2:4 h:1", 60, 40, 8, 8, 6, 3, "8:3 25:5 0:2 24:1",
       "x......x..x.....|x..x......x.....|x.x....x..x..x..|x.......x.x....o|x..x..o...x...o.|x.....xx..x.....",
       "....X.......X...|....X..g....X...|....X.......X..g", "hx.x.x.x.x.x.x.x.|hx.xxx.x.x.xxx.x.|hX.x.X.x.X.x.X.O.|hxxx.x.xxxxx.x.xx",
       "c....x.......x...|sx.xxx.xxx.xxx.xx|j..o...o.....o...", 45, 38, 100, "33:3 38:4 39:3 32:1",
       "@kick|@kick|@sub|R------R--R-----|R-----------R-A-|R--R------5-..7.|R-----..R-..5-A-|R..R..8...R.5.A.", 65, 100,
       {{{CompKind::kBlock, "4:4 0:3 5:2 11:1", "x-------x-------|x---------------|x-----x---x-----|x--x------x-----", 80},
         {CompKind::kPad, "48:3 89:3 95:2", "", 50}, {CompKind::kArpeggio, "46:2 11:2 27:2 8:1", kArpeggios, 40},
         {CompKind::kStab, "61:2 4:2 55:1", "x...............|......x.........|..........x.....", 30}, kNoComp}},
       "53:3 80:1 73:1 66:1", "66:2 73:1 81:2 56:1"},
      {"trap", 126, 160, "4/4:100", 0, 0, 0, 0, false, "IVCVCBCO|IVCKVCO|IVPCVPCKCO", "minor:7 phrygian:3 dorian:1", "i bVI|i bII|i iv bVI V|i i bVI bVII|i",
       70, "2:6 1:4", 15, 15, 4, 3, 2, 3, "25:8 24:2",
       "x......x..x.....|x.....x.....x...|x..x..x......x..|x.........x.....|x......x....x.x.|x.x.......x..x..", "........X.......|........X.......|........X......g",
       "Hx.x.x.x.x.x.x.x.|Hx.x.x.xxx.x.x.x.|Hxxxxxxxxxxxxxxxx|Hx..x..x.x..x..x.", "c........x.......|O......x.........|j...o..o.....o...", 60, 40, 100,
       "38:4 39:6", "@sub|@sub|@sub|@kick|R-------------R-|R-----R---------", 85, 100,
       {{{CompKind::kArpeggio, "10:2 11:2 46:2 80:2 8:2", "x-x-x-x-x-x-x-x-|x--x--x-x--x--x-|x---x---x---x---", 75}, {CompKind::kPad, "89:3 91:2 95:3 52:2", "", 70},
         {CompKind::kBlock, "0:3 4:2 6:1", "x---------------|x-------x-------|x-----x---------", 55}, kNoComp, kNoComp}},
       "53:3 80:2 79:1 54:1", "80:2 73:1 78:1 81:1"},
      {"drum_and_bass", 166, 178, "4/4:100", 0, 0, 0, 3, false, kDanceForms, "minor:7 dorian:4 phrygian:1", "i bVI|i bVII bVI v|i iv|i|bVI bVII i i|i v bVI iv", 65,
       "2:6 1:4 4:2", 55, 50, 8, 4, 5, 5, "24:3 16:3 0:3 25:1", "x.........x.....|x.x.......x.....|x..o......x..o..|x.........xx....|x.x....x..x.....",
       "....X.......X...|....X..g.g..X...|....X..g.g..X..g|....X..g....X.g.", "hx.x.x.x.x.x.x.x.|hxxxxxxxxxxxxxxxx|rx.x.x.x.x.x.x.x.|hx.xxx.x.x.xxx.x.",
       "sxxxxxxxxxxxxxxxx|Cx..x..x...x..x..|t....x.......x...", 45, 40, 100, "38:5 39:4 33:1",
       "R-------....R---|R--R--R-----R-..|@sub|R-R---..R-----8-|R---------R-----|R-----R---R-5-A-|@random|R..R..R..R..R.A.", 60, 100,
       {{{CompKind::kPad, "89:4 95:3 90:1 48:2", "", 85}, {CompKind::kStab, "4:4 5:2 62:1 81:1", "x.....x.........|..........x.....|x.........x.....|......x.....x...", 60},
         {CompKind::kArpeggio, "81:2 80:2 11:2 98:1", kArpeggios, 45}, kNoComp, kNoComp}},
       "54:3 53:3 80:1 81:1", "81:3 80:1 87:1"},
      {"reggae", 66, 92, "4/4:100", 2, 20, 80, 8, false, kPopForms, "minor:5 major:5 dorian:2 mixolydian:1", "I IV|i iv|i bVII|I V vi IV|ii iii|I vi IV V|i bVII bVI V", 55,
       "1:7 h:3 2:2", 30, 12, 10, 8, 8, 8, "0:5 8:4", "........x.......|x...x...x...x...|x.......x.......|........x.....o.", "........X.......|........X......g|....X.......X...",
       "hx.x.x.x.x.x.x.x.|hX.x.X.x.X.x.X.x.|h..x...x...x...x.|hx.x.x.xxx.x.x.x.", "Cx..x..x...x..x..|j..o...o......o..|tx.x.x.x.x.x.x.x.", 45, 37, 100, "33:6 32:1 34:1 35:2",
       "..R.R.5.R...3.5.|R--.R-5-..8-5-R-|R-..5-R-..R-3-5-|R---..3-5-..R-R-|....R-R-5---3-A-|R-R-..5-..3-R-A-|R---....R-R-5-3-|R-..R-..3-..5-..", 60, 90,
       {{{CompKind::kStab, "27:6 25:2", kSkanks, 100}, {CompKind::kStab, "16:5 18:4 0:2", "..x...x...x...x.|....x.......x...|..x.x.x...x.x.x.", 80},
         {CompKind::kBlock, "16:4 17:2", kBlocks, 25}, {CompKind::kStab, "61:4 57:2 66:1", "x...............|x.x.............|........x.x.x...", 35}, kNoComp}},
       "53:3 78:1 57:1 66:1", "57:2 27:2 16:2"},
      {"bossa_nova", 112, 156, "4/4:100", 0, 0, 0, 9, true, kJamForms, "major:6 minor:4 dorian:2", "IM7 IM7 ii7 V7|i7 iv7 ii V7|IM7 vi7 ii7 V7|IM7 II7 ii7 V7|i7 bVII7 bVIM7 V7",
       30, "1:6 2:3 h:3", 95, 45, 8, 30, 12, 8, "0:4 40:3 32:3", "x.....x.x.....x.|x.....xxx.....xx", "x..x..x...x..x..|x..x..x...x.x...|..x...x..x...x..|................",
       "hx.x.x.x.x.x.x.x.|hxxxxxxxxxxxxxxxx|rx.x.x.x.x.x.x.x.", "sxxxxxxxxxxxxxxxx|Cx..x..x...x..x..|p....x.......x...", 50, 37, 100, "32:6 33:3 35:1",
       "R-----5-5-----A-|R-----5-5-----5-|R-----R-5-----5-|R-----5-8-----N-|R-----5-R-----A-|R-----5-3-----N-", 75, 98,
       {{{CompKind::kStrum, "24:8 25:1", kBossaComps, 95}, {CompKind::kStab, "0:5 4:4", kBossaComps, 60}, {CompKind::kPad, "48:4 49:2", "", 35}, kNoComp, kNoComp}},
       "53:2 73:3 66:3 24:1", "73:2 66:3 0:2 11:1 59:1"},
      {"swing", 116, 226, "4/4:88 3/4:10 5/4:2", 2, 55, 80, 10, true, kJamForms, "major:6 minor:4 dorian:2 blues:3",
       "ii7 V7 IM7 vi7|IM7 vi7 ii7 V7|iii7 vi7 ii7 V7|IM7 IV7 iii7 VI7|i7 iv7 ii V7", 30, "1:5 h:5 2:1", 100, 40, 5, 40, 10, 6, "32:6 40:4",
       "g...g...g...g...|................|........o.......|......o.......o.", "..o...o...o...o.|......o.......o.|................|..........g...o.|....o.....o.....",
       "rx...x.x.x...x.x.|rX...X.x.X...X.x.|rx...x...x...x.x.|rx.x.x...x...x.x.", "p....x.......x...|p....x.......x...", 95, 38, 100, "32:9 33:1", "@walk|@walk|@walk|@walk|R-------5-------|R-------3---A---",
       80, 100,
       {{{CompKind::kStab, "0:8 4:1", kJazzComps, 85}, {CompKind::kStrum, "26:7 24:1", "x---x---x---x---|x-..x-..x-..x-..|x---....x---....", 60},
         {CompKind::kStab, "61:4 56:2 66:2", "......x.x.......|x-....x.........|..........x---..|............x.x.", 40}, {CompKind::kBlock, "11:4 16:2", kJazzComps, 20}, kNoComp}},
       "66:3 56:2 65:2 53:2 71:1", "66:3 56:2 0:2 26:2 65:1 57:1"},
      {"shuffle", 84, 148, "4/4:90 6/8:10", 2, 60, 80, 10, false, kJamForms, "blues:9 mixolydian:2 minor:1", "I7 I7 IV7 I7|i i iv i|I7 IV7 I7 V7", 40, "1:8 2:2", 92, 12, 4, 6, 4, 5,
       "0:5 8:4 16:1", "x.......x.......|x.....x.x.......|x...x...x...x...|x.....x.x.....x.", "....X.......X...|....X..g....X..g|....X.g...g.X.g.",
       "hx.x.x.x.x.x.x.x.|rx.x.x.x.x.x.x.x.|hX..xX..xX..xX..x|rX...X.x.X...X.x.", "p....x.......x...|t....x.......x...", 30, 38, 100, "33:6 34:2 32:2",
       "R---3---5---6---|R-R-3-3-5-5-6-6-|R-R-5-5-6-6-5-5-|@walk|R-R-R-R-R-R-5-A-|R---5---8---5---|R-R-R-R-R-R-R-A-|R---3---5---A---", 70, 95,
       {{{CompKind::kStab, "27:5 26:3", "....x.......x...|x-x-x-x-x-x-x-x-|..x...x...x...x.|x-....x-........", 85}, {CompKind::kBlock, "0:5 16:3 3:1", kJazzComps, 65},
         {CompKind::kPower, "27:4 29:3", "x-x-x-x-x-x-x-x-|x.x.x.x.x.x.x.x.", 45}, {CompKind::kStab, "66:3 61:3", "x---............|......x.x-......|............x-x.", 30}, kNoComp}},
       "22:2 53:3 66:2 26:1", "29:4 22:2 66:2 0:1 26:2"},
      {"soul", 84, 128, "4/4:88 6/8:12", 0, 0, 0, 9, false, kPopForms, "major:6 mixolydian:3 dorian:3 minor:2", "I vi IV V|I iii IV V|I IV|ii V I vi|I7 IV7|vi ii V I|I bVII IV I", 45,
       "1:6 h:3 2:2", 45, 20, 15, 20, 15, 18, "0:6 8:3", "x.......x.......|x.....x.x.......|x..x....x..x....|x.....x.x..x....", "X...X...X...X...|....X.......X...|....X.......X..g|....X..g.g..X...",
       "hx.x.x.x.x.x.x.x.|hX.x.X.x.X.x.X.x.|rx.x.x.x.x.x.x.x.", "tx.x.x.x.x.x.x.x.|t....x.......x...|Cx..x..x...x..x..|c....x.......x...", 60, 38, 100, "33:7 32:1 35:1",
       "@melodic|@melodic|R..R.3.5.R..5.6.|R-R-.3-5..6-5-A-|R--R--5-R--R--A-|R---..R-3-..5-A-|R-R-8-5-3-R-5-A-", 60, 92,
       {{{CompKind::kStab, "27:5 26:2", "....x.......x...|....x.s...s.x...|..x...x...x...x.", 80}, {CompKind::kBlock, "0:4 4:4 16:3 18:2", kBlocks, 80},
         {CompKind::kPad, "48:6 49:2", "", 45}, {CompKind::kStab, "61:5 56:1 57:1", "x-..............|......x.x-......|x.x.x-..........|............x-x-", 55}, kNoComp}},
       "53:4 65:2 56:1", "65:3 66:2 16:2 27:1"},
      {"country", 88, 168, "4/4:78 3/4:18 6/8:4", 0, 0, 0, 8, true, kPopForms, "major:8 mixolydian:3", "I IV V I|I V IV I|I IV I V|vi IV I V|I I IV V", 50, "1:7 2:4 h:1", 12, 8, 12, 18, 12, 18, "0:6 8:2 40:1",
       "x.......x.......|x.......x.....x.|x...x...x...x...", "....X.......X...|x.xxX.xxx.xxX.xx|gxgxXxgxgxgxXxgx", "hx.x.x.x.x.x.x.x.|h..x...x...x...x.|rx.x.x.x.x.x.x.x.", "tx...x...x...x...|sx.x.x.x.x.x.x.x.", 25, 38, 96,
       "33:5 32:4 34:1", "R-------5-------|R---5---R---5---|R---5---R---A---|R-------5---A---|R---R---5---5---|R-----R-5-----A-|@walk", 65, 92,
       {{{CompKind::kStrum, "25:7 24:1", "x---x-x-x---x-x-|..x...x...x...x.|x-x-x-x-x-x-x-x-|x---x-xxx---x-xx", 95}, {CompKind::kArpeggio, "27:3 105:3 25:2", kArpeggios, 55},
         {CompKind::kBlock, "0:5 3:1", kBlocks, 40}, {CompKind::kPad, "48:3 40:2 49:1", "", 25}, kNoComp}},
       "53:3 40:2 22:1 27:1", "40:3 27:4 105:1 0:1"},
      {"folk", 76, 132, "4/4:45 3/4:27 6/8:28", 0, 0, 0, 10, true, kBallads, "major:6 dorian:4 mixolydian:3 minor:3", "I V vi IV|I IV I V|i bVII i bVII|I bVII IV I|i bVII bVI bVII", 35, "1:7 2:3 h:2", 8, 15, 18, 10, 22, 10, "0:4 40:4",
       "x.......x.......|x.......x.....o.|x...............", "....x.......x...|............x...|................", "hx...x...x...x...|h..x...x...x...x.", "tx...x...x...x...|s..x...x...x...x.|t....x.......x...", 60, 37, 55,
       "32:5 33:4 35:2", "R-------5-------|R---------------|R-------R-----A-|R-----R-5-----A-|R---5---8---A---", 80, 100,
       {{{CompKind::kStrum, "25:5 24:4", kStrums, 70}, {CompKind::kArpeggio, "24:5 25:4 46:1 15:1", kArpeggios, 80}, {CompKind::kPad, "48:3 21:2 49:2 42:1", "", 45},
         {CompKind::kBlock, "0:3 21:2 20:1", kBlocks, 35}, kNoComp}},
       "53:3 73:2 40:3 22:1 74:1", "40:3 73:3 74:1 25:1"},
      {"ballad", 56, 86, "4/4:68 6/8:22 3/4:10", 0, 0, 0, 10, true, kBallads, "major:6 minor:4 lydian:1", "I V vi IV|I vi IV V|vi IV I V|i bVI bIII bVII|I iii IV V|IV V iii vi", 35, "1:6 h:4 2:1", 30, 30, 25, 20, 30, 22, "0:4 8:4 40:1",
       "x.......x.o.....|x......xx.......|x.......x.......|x.....x.x.......|x.........x.....", "....X.......X...|....x.......x...|........X.......", "hx.x.x.x.x.x.x.x.|hxxxxxxxxxxxxxxxx|rx.x.x.x.x.x.x.x.|hx...x...x...x...",
       "t....x.......x...|sxxxxxxxxxxxxxxxx", 30, 38, 88, "33:4 35:4 32:2", "R-------R-----A-|R-----------5-A-|R---------5-R---|R-----R-R-----A-|R---------------|@kick|R-------5-----A-", 88, 100,
       {{{CompKind::kBlock, "0:6 4:4 1:1", kBlocks, 75}, {CompKind::kArpeggio, "0:3 25:3 24:2 46:1", kArpeggios, 65}, {CompKind::kPad, "48:6 49:4 89:2 52:1", "", 80},
         {CompKind::kStrum, "25:5 27:1", kStrums, 35}, {CompKind::kPower, "29:4 30:2", "x---------------|x-------x-------", 12}}},
       "53:4 65:1 73:1 68:1 40:1", "29:2 65:2 40:2 0:1"},
      {"gospel", 56, 104, "6/8:55 4/4:35 3/4:10", 2, 0, 70, 9, false, kBallads, "major:7 mixolydian:2 minor:2", "I IV I V|I I7 IV iv|vi ii V I|I iii vi ii|IV I V vi", 30, "1:5 h:5", 60, 35, 18, 40, 35, 30, "0:6 8:2",
       "x.......x.......|x.....x.x.......|x..x....x.......", "....X.......X...|....X..g....X..g", "hx.x.x.x.x.x.x.x.|rx.x.x.x.x.x.x.x.", "t....x.......x...|tx.x.x.x.x.x.x.x.|c....x.......x...", 65, 38, 95, "33:6 32:1 35:1",
       "@melodic|R-------R---5-A-|R---5---8---A---|R-----R-5-----A-|@walk|@kick", 80, 100,
       {{{CompKind::kBlock, "0:7 4:1", kBlocks, 95}, {CompKind::kPad, "16:5 18:3 19:1", "", 85}, {CompKind::kStrum, "27:3 26:2", kStrums, 35}, {CompKind::kPad, "52:5 48:2", "", 50}, kNoComp}},
       "53:5 65:1", "16:3 65:2 0:1"},
      {"latin", 90, 118, "4/4:100", 0, 0, 0, 8, false, kJamForms, "minor:5 major:3 dorian:3", "i iv V7 i|i bVII bVI V7|ii7 V7 I I|I IV V IV|i V7|iv V7 i i", 50, "1:7 2:3 h:2", 55, 15, 5, 15, 5, 10, "0:5 8:3",
       "x.....x.x.....x.|x.....x.......x.|......x.......x.", "................|x..x..x...x.x...|..x.x...x..x..x.", "kx...x...x...x...|kx.xxx.xxx.xxx.xx|hx.x.x.x.x.x.x.x.|bx.x.x.xxx.x.x.xx", "Cx.xxx.xxx.xxx.xx|C....x.xx....x.xx|sxxxxxxxxxxxxxxxx|jx..x..x...x.x...", 95, 37, 100,
       "33:6 32:4 36:1", "------5-----N---|R-----5-----N---|R-----5-8---N---|R-----5-5---A---|R---..5---R-5-A-|R-..R-5-..R-5-A-", 70, 95,
       {{{CompKind::kArpeggio, "0:8 2:1", "x.xx.xx.xx.x.xx.|x.x.xx.xx.xx.xx.|xx.x.xx.xx.x.x.x", 90}, {CompKind::kStab, "56:3 61:4 57:2", "......x.x.......|x.x...x.........|............x.x.", 60}, {CompKind::kStrum, "24:5 25:1", kBossaComps, 40},
         {CompKind::kPad, "48:3 49:1", "", 20}, kNoComp}},
       "53:3 56:2 73:1 24:1", "56:3 73:2 0:2 24:1"},
      {"afrobeat", 96, 124, "4/4:92 6/8:8", 1, 0, 16, 8, false, kJamForms, "dorian:6 minor:4 mixolydian:3", "i|i iv|i bVII|i7 IV7|i bVI bVII i", 75, "2:6 1:3 4:2", 60, 30, 6, 3, 4, 4, "0:6 8:3",
       "x..x..x...x..x..|x.....x.x.....x.|x...x...x...x...|x..x......x.x...", "......X.....X...|....X..g.g..X...|..g...X...g.X...", "hx.xxx.xxx.xxx.xx|hxxxxxxxxxxxxxxxx|hx.x.xx.x.x.xx.x.", "kx..x..x...x.x...|sxxxxxxxxxxxxxxxx|Cx..xx.x.x..xx.x.", 90, 38, 100,
       "33:8 32:1", "@random|@random|R--R--5-..R-8-7-|R-..R-..5-7-8-A-|R..5..R...8.7.5.|R-R-..5-7-..5-A-", 50, 85,
       {{{CompKind::kStab, "27:7 26:1", "x..x..x..x.x..x.|..x.xx....x.xx..|x.xx.x..x.xx.x..", 95}, {CompKind::kStab, "16:4 4:3 7:1", kFunkStabs, 70}, {CompKind::kArpeggio, "27:5 28:2 12:1", kArpeggios, 60},
         {CompKind::kStab, "61:6 66:2", "x.x.x-..........|......x.x.x-....|x-..x-..x.......", 60}, kNoComp}},
       "53:3 66:2 65:2 56:1", "66:3 65:2 16:2 56:2"},
      {"indie", 92, 152, "4/4:78 6/8:10 3/4:6 7/8:3 5/4:3", 0, 0, 0, 10, false, kPopForms, "major:6 minor:3 lydian:2 mixolydian:2 dorian:2", "I IV|I iii IV iv|vi IV I V|IM7 IVM7|I II IV I|i bIII bVII IV", 40, "1:6 2:4 h:1", 35, 35, 25, 12, 20, 12, "0:5 8:4 16:1",
       "x.......x.......|x.....x.x.......|x..x..x...x.....|x...x...x...x...|x.x...x.x.x.....|x..x....x..x..o.", "....X.......X...|....X..g....X.g.|........X.......|..X...X...X...X.", "hx.x.x.x.x.x.x.x.|hxxxxxxxxxxxxxxxx|rx.x.x.x.x.x.x.x.|h..O...O...O...O.|fx.x.x.x.x.x.x.x.",
       "tx.x.x.x.x.x.x.x.|t....x.......x...|sxxxxxxxxxxxxxxxx", 35, 38, 100, "33:5 34:5 38:1", "R-R-R-R-R-R-R-R-|@melodic|@melodic|R--R--R-R--R--A-|R-----R-R---5-A-|@kick|R-R-R-R-8-8-5-A-|R---3---5---8-A-", 70, 98,
       {{{CompKind::kStrum, "27:6 28:1 25:3", kStrums, 85}, {CompKind::kArpeggio, "27:6 28:1 26:1", kArpeggios, 70}, {CompKind::kPad, "50:3 89:2 18:2 48:1", "", 45}, {CompKind::kBlock, "0:3 4:2 5:1", kBlocks, 35}, {CompKind::kPower, "29:4", kPowers, 25}}},
       "53:4 80:1 27:1", "27:3 29:2 81:1 73:1"},
  };
}

}  // namespace

const std::vector<Style>& styles() {
  static const std::vector<Style> all = make_styles();
  return all;
}

Range program_range(int program) {
  if (program < 8) return {28, 96};            // pianos
  if (program < 16) return {55, 93};           // mallets
  if (program == 22) return {55, 88};          // harmonica
  if (program < 24) return {36, 88};           // organs
  if (program < 32) return {40, 84};           // guitars
  if (program == 32) return {28, 55};          // double bass
  if (program < 38) return {28, 57};           // bass guitars
  if (program < 40) return {24, 52};           // synthesizer basses
  if (program == 40) return {55, 96};          // violin
  if (program == 42) return {36, 72};          // cello
  if (program < 52) return {40, 91};           // strings, harp
  if (program < 55) return {48, 79};           // voices
  if (program == 55) return {48, 79};          // orchestra hit
  if (program == 56 || program == 59) return {54, 82};  // trumpets
  if (program == 57) return {42, 70};          // trombone
  if (program < 64) return {48, 82};           // brass
  if (program == 65) return {49, 81};          // alto saxophone
  if (program == 66) return {45, 76};          // tenor saxophone
  if (program < 72) return {52, 86};           // reeds
  if (program < 80) return {60, 93};           // flutes
  if (program < 88) return {40, 91};           // leads
  if (program < 104) return {40, 88};          // pads, effects
  return {48, 84};                             // plucked
}

const char* program_family(int program) {
  constexpr const char* kFamilies[] = {"Piano", "Mallets", "Organ", "Guitar", "Bass", "Strings", "Ensemble", "Brass", "Reed", "Flute",
                                       "Synthesizer", "Pad", "Effects", "Plucked", "Percussion", "Sound"};
  if (program == 21 || program == 22) return program == 21 ? "Accordion" : "Harmonica";
  return kFamilies[program / 8];
}

}  // namespace vqcodec::dataset::compose
