<?xml version="1.0" encoding="utf-8"?>
<TS version="2.1" language="de">
  <context>
    <name>snet4</name>
    <message>
      <source>Adjust the footprints</source>
      <translation>Grundrisse anpassen</translation>
    </message>
    <message>
      <source>Right angles</source>
      <translation>Rechte Winkel</translation>
    </message>
    <message>
      <source>Apply to the whole layer</source>
      <translation>Auf den ganzen Layer anwenden</translation>
    </message>
    <message>
      <source>Undo</source>
      <translation>Rückgängig</translation>
    </message>
    <message>
      <source>Keep these settings</source>
      <translation>Einstellungen merken</translation>
    </message>
    <message>
      <source>1 footprint here.</source>
      <translation>1 Grundriss hier.</translation>
    </message>
    <message>
      <source>Stop</source>
      <translation>Anhalten</translation>
    </message>
    <message>
      <source>The settings of before.</source>
      <translation>Die Einstellungen von vorher.</translation>
    </message>
    <message>
      <source>The next run's dialog offers these settings.</source>
      <translation>Der Dialog des nächsten Laufs bietet diese Einstellungen an.</translation>
    </message>
    <message>
      <source>Shaped in the middle of the map alone; zoom in to see all.</source>
      <translation>Nur in der Mitte der Karte geformt; hineinzoomen zeigt alle.</translation>
    </message>
    <message>
      <source>Stopped on request; nothing was changed.</source>
      <translation>Auf Wunsch angehalten; nichts wurde geändert.</translation>
    </message>
    <message>
      <source>1 footprint found.</source>
      <translation>1 Grundriss gefunden.</translation>
    </message>
    <message>
      <source>Threshold</source>
      <translation>Schwelle</translation>
    </message>
    <message>
      <source>Smallest area</source>
      <translation>Kleinste Fläche</translation>
    </message>
    <message>
      <source>Least confidence</source>
      <translation>Kleinste Sicherheit</translation>
    </message>
    <message>
      <source>Simplify within</source>
      <translation>Vereinfachen bis</translation>
    </message>
    <message>
      <source>The map shows no place of this layer; zoom to it.</source>
      <translation>Die Karte zeigt keine Stelle dieses Layers; auf ihn zoomen.</translation>
    </message>
    <message>
      <source>{} footprints here.</source>
      <translation>{} Grundrisse hier.</translation>
    </message>
    <message>
      <source>No footprints were found. {}</source>
      <translation>Es wurden keine Grundrisse gefunden. {}</translation>
    </message>
    <message>
      <source>{} footprints found.</source>
      <translation>{} Grundrisse gefunden.</translation>
    </message>
    <message>
      <source>The layer cannot be written ({reason}); is the disk full?</source>
      <translation>Der Layer kann nicht geschrieben werden ({reason}); ist der Datenträger voll?</translation>
    </message>
    <message>
      <source>{}, adjusted</source>
      <translation>{}, angepasst</translation>
    </message>
    <message>
      <source>'Install the engine' does it, too; for a GPU, with 'For an NVIDIA GPU, too' on.</source>
      <translation>„Engine installieren“ tut es auch; für eine GPU mit „Auch für eine NVIDIA-GPU“.</translation>
    </message>
    <message>
      <source>About {} left</source>
      <translation>Noch etwa {}</translation>
    </message>
    <message>
      <source>Check the snet4 engine</source>
      <translation>snet4-Engine prüfen</translation>
    </message>
    <message>
      <source>Prints one text with versions, paths, model and device. Copy it into a question or a report. Nothing is installed or changed.</source>
      <translation>Gibt einen Text mit Versionen, Pfaden, Modell und Gerät aus. Kopieren Sie ihn in eine Frage oder Meldung. Es wird nichts installiert oder verändert.</translation>
    </message>
    <message>
      <source>Says which engine is used and whether it works; how to install one if not.</source>
      <translation>Sagt, welche Engine benutzt wird und ob sie arbeitet; wenn nicht, wie man eine einrichtet.</translation>
    </message>
    <message>
      <source>The model to look at: 'default', or a .safetensors file.</source>
      <translation>Das Modell, nach dem gesehen wird: 'default' oder eine .safetensors-Datei.</translation>
    </message>
    <message>
      <source>The device to look for.</source>
      <translation>Das Gerät, nach dem gesehen wird.</translation>
    </message>
    <message>
      <source>doctor,install,version,device,GPU,report</source>
      <translation>Diagnose,Installation,Version,Gerät,GPU,Bericht</translation>
    </message>
    <message>
      <source>Model</source>
      <translation>Modell</translation>
    </message>
    <message>
      <source>Compute device</source>
      <translation>Rechengerät</translation>
    </message>
    <message>
      <source>Report</source>
      <translation>Bericht</translation>
    </message>
    <message>
      <source>Whether footprints can be found</source>
      <translation>Ob Grundrisse gefunden werden können</translation>
    </message>
    <message>
      <source>The engine works.</source>
      <translation>Die Engine arbeitet.</translation>
    </message>
    <message>
      <source>No engine works here; the log says why.</source>
      <translation>Hier arbeitet keine Engine; das Protokoll sagt, warum.</translation>
    </message>
    <message>
      <source>Models (*.safetensors);;All files (*)</source>
      <translation>Modelle (*.safetensors);;Alle Dateien (*)</translation>
    </message>
    <message>
      <source>Extract building footprints</source>
      <translation>Gebäudegrundrisse finden</translation>
    </message>
    <message>
      <source>right angles</source>
      <translation>rechte Winkel</translation>
    </message>
    <message>
      <source>outlines as they are</source>
      <translation>Umrisse, wie sie sind</translation>
    </message>
    <message>
      <source>Look: unknown.</source>
      <translation>Blick: unbekannt.</translation>
    </message>
    <message>
      <source>your parameters</source>
      <translation>Ihren Parametern</translation>
    </message>
    <message>
      <source>the table of looks</source>
      <translation>der Blicktabelle</translation>
    </message>
    <message>
      <source>the STAC item beside the picture</source>
      <translation>dem STAC-Eintrag neben dem Bild</translation>
    </message>
    <message>
      <source>the picture's metadata</source>
      <translation>den Metadaten des Bildes</translation>
    </message>
    <message>
      <source>the file name</source>
      <translation>dem Dateinamen</translation>
    </message>
    <message>
      <source>an estimate of the network</source>
      <translation>einer Schätzung des Netzes</translation>
    </message>
    <message>
      <source>Finds building footprints in a satellite picture, however tilted it is.</source>
      <translation>Findet Gebäudegrundrisse in einem Satellitenbild, wie schräg es auch ist.</translation>
    </message>
    <message>
      <source>The picture to search, with a CRS: a raster file on this computer, or any other layer that QGIS can write to one.</source>
      <translation>Das zu durchsuchende Bild, mit einem KBS: eine Rasterdatei auf diesem Rechner oder jeder andere Layer, den QGIS in eine schreiben kann.</translation>
    </message>
    <message>
      <source>Footprints are looked for inside this box alone. Empty: the whole picture.</source>
      <translation>Nur in diesem Rechteck wird gesucht. Leer: im ganzen Bild.</translation>
    </message>
    <message>
      <source>Footprints are looked for inside the polygons of this layer alone, in any CRS; with a box as well, inside both. Empty: no limit.</source>
      <translation>Grundrisse werden nur innerhalb der Polygone dieses Layers gesucht, in beliebigem KBS; mit einem Rechteck dazu innerhalb von beidem. Leer: keine Grenze.</translation>
    </message>
    <message>
      <source>How tilted the picture is: 0 is straight down, 30 is common. Empty: read from the picture's metadata or name.</source>
      <translation>Wie schräg das Bild ist: 0 ist senkrecht, 30 ist üblich. Leer: aus Metadaten oder Namen des Bildes gelesen.</translation>
    </message>
    <message>
      <source>Azimuth from satellite to ground, degrees (empty: read from the scene)</source>
      <translation>Azimut vom Satelliten zum Boden, Grad (leer: aus der Szene gelesen)</translation>
    </message>
    <message>
      <source>Direction in which the satellite looks, clockwise from north; roofs lean towards it. Empty: read from the picture's metadata; else guessed from how roofs lean, where the model is sure.</source>
      <translation>Blickrichtung des Satelliten, im Uhrzeigersinn von Nord; Dächer neigen sich dorthin. Leer: aus den Metadaten des Bildes gelesen; sonst daraus geschätzt, wie Dächer sich neigen, wo das Modell sicher ist.</translation>
    </message>
    <message>
      <source>Which band is blue, green, red and infrared, as in 3,2,1,4; a minus for one that is missing; 1,1,1,- for a panchromatic picture. Empty: as the file says.</source>
      <translation>Welcher Kanal Blau, Grün, Rot und Infrarot ist, etwa 3,2,1,4; ein Minus für einen fehlenden; 1,1,1,- für ein panchromatisches Bild. Leer: wie die Datei es sagt.</translation>
    </message>
    <message>
      <source>'default' for the model that comes with snet4, or a .safetensors file.</source>
      <translation>'default' für das Modell, das snet4 beiliegt, oder eine .safetensors-Datei.</translation>
    </message>
    <message>
      <source>Where the network is computed; auto takes a GPU where there is one.</source>
      <translation>Wo das Netz gerechnet wird; auto nimmt eine GPU, wo es eine gibt.</translation>
    </message>
    <message>
      <source>In how many sizes the network sees the picture. The default model is made for two; one takes a quarter less time and finds less, four take more than twice as long and find more, above all where the picture is tilted.</source>
      <translation>In wie vielen Größen das Netz das Bild sieht. Das Standardmodell ist für zwei gemacht; eine braucht ein Viertel weniger Zeit und findet weniger, vier brauchen mehr als doppelt so lang und finden mehr, vor allem in schrägen Bildern.</translation>
    </message>
    <message>
      <source>The layer of footprints, in the picture's CRS.</source>
      <translation>Der Layer der Grundrisse, im KBS des Bildes.</translation>
    </message>
    <message>
      <source>Keeps what the network saw, so that 'Footprints from stored maps' can try other thresholds in seconds.</source>
      <translation>Behält, was das Netz sah, sodass 'Grundrisse aus gespeicherten Karten' in Sekunden andere Schwellen probiert.</translation>
    </message>
    <message>
      <source>The same on the command line:</source>
      <translation>Dasselbe auf der Kommandozeile:</translation>
    </message>
    <message>
      <source>QGIS writes this layer to a temporary GeoTIFF before the run.</source>
      <translation>QGIS schreibt diesen Layer vor dem Lauf in ein vorübergehendes GeoTIFF.</translation>
    </message>
    <message>
      <source>Pixels: {own:.2f} m; the model was trained on {low:g} to {high:g} m</source>
      <translation>Pixel: {own:.2f} m; das Modell wurde mit {low:g} bis {high:g} m trainiert</translation>
    </message>
    <message>
      <source>Look: {angle:g}° off nadir, azimuth {azimuth}, read from {source}.</source>
      <translation>Blick: {angle:g}° abseits des Nadirs, Azimut {azimuth}, gelesen aus {source}.</translation>
    </message>
    <message>
      <source>buildings,houses,roofs,off-nadir,satellite,deep learning,AI,detect,segment,vectorize</source>
      <translation>Gebäude,Häuser,Dächer,Schrägsicht,Satellit,Deep Learning,KI,erkennen,segmentieren,KI,erkennen,segmentieren,vektorisieren</translation>
    </message>
    <message>
      <source>GeoTIFF, JPEG 2000, ERDAS Imagine or ENVI files and virtual rasters of them, with a CRS, with blue, green and red bands, infrared if there is one, and pixels of about 0.3 to 1 m; other pixel sizes are resampled, and you are told when the model was not trained on them. Of any other layer (a tile service, a GeoPackage) QGIS first writes the area that is searched to a temporary GeoTIFF. A CRS that you set for the layer is used in place of the file's.</source>
      <translation>Dateien in GeoTIFF, JPEG 2000, ERDAS Imagine oder ENVI und virtuelle Raster aus ihnen, mit einem KBS, mit Bändern für Blau, Grün und Rot, Infrarot, wenn es eines gibt, und Pixeln von etwa 0,3 bis 1 m; andere Pixelgrößen werden umgerechnet, und Sie erfahren, wenn das Modell nicht mit ihnen trainiert wurde. Von jedem anderen Layer (ein Kacheldienst, ein GeoPackage) schreibt QGIS zuerst das durchsuchte Gebiet in ein vorübergehendes GeoTIFF. Ein KBS, das Sie dem Layer geben, gilt anstelle dessen der Datei.</translation>
    </message>
    <message>
      <source>Satellite picture</source>
      <translation>Satellitenbild</translation>
    </message>
    <message>
      <source>Search only here</source>
      <translation>Nur hier suchen</translation>
    </message>
    <message>
      <source>Search only inside these polygons</source>
      <translation>Nur innerhalb dieser Polygone suchen</translation>
    </message>
    <message>
      <source>Off-nadir angle, degrees (empty: read from the scene)</source>
      <translation>Off-Nadir-Winkel, Grad (leer: aus der Szene gelesen)</translation>
    </message>
    <message>
      <source>Bands</source>
      <translation>Kanäle</translation>
    </message>
    <message>
      <source>Looks at each place</source>
      <translation>Blicke auf jede Stelle</translation>
    </message>
    <message>
      <source>Building footprints</source>
      <translation>Gebäudegrundrisse</translation>
    </message>
    <message>
      <source>Probability maps</source>
      <translation>Wahrscheinlichkeitskarten</translation>
    </message>
    <message>
      <source>Number of footprints</source>
      <translation>Zahl der Grundrisse</translation>
    </message>
    <message>
      <source>Look angle, and where it stood</source>
      <translation>Blickwinkel, und wo er stand</translation>
    </message>
    <message>
      <source>Device that was used</source>
      <translation>Benutztes Gerät</translation>
    </message>
    <message>
      <source>snet4 {engine}, plugin {plugin}</source>
      <translation>snet4 {engine}, Plugin {plugin}</translation>
    </message>
    <message>
      <source>, so it sees the picture at {:.2f} m</source>
      <translation>, es sieht das Bild daher mit {:.2f} m</translation>
    </message>
    <message>
      <source>Settings: threshold {threshold:g}, at least {area:g} m², confidence {sure:g} or more, simplified within {metres:g} m, {regular}.</source>
      <translation>Einstellungen: Schwelle {threshold:g}, mindestens {area:g} m², Konfidenz ab {sure:g}, vereinfacht bis {metres:g} m, {regular}.</translation>
    </message>
    <message>
      <source>unknown</source>
      <translation>unbekannt</translation>
    </message>
    <message>
      <source>Time: about {time}, as measured here ({size:.1f} megapixels).</source>
      <translation>Zeit: etwa {time}, wie hier gemessen ({size:.1f} Megapixel).</translation>
    </message>
    <message>
      <source>Time: perhaps {time} ({size:.1f} megapixels); better known after the first run.</source>
      <translation>Zeit: vielleicht {time} ({size:.1f} Megapixel); nach dem ersten Lauf besser bekannt.</translation>
    </message>
    <message>
      <source>Which pictures</source>
      <translation>Welche Bilder</translation>
    </message>
    <message>
      <source>the model's own</source>
      <translation>die des Modells</translation>
    </message>
    <message>
      <source>one, faster</source>
      <translation>einer, schneller</translation>
    </message>
    <message>
      <source>four, slower</source>
      <translation>vier, langsamer</translation>
    </message>
    <message>
      <source>There is no model file {}; choose another.</source>
      <translation>Es gibt keine Modelldatei {}; wählen Sie eine andere.</translation>
    </message>
    <message>
      <source>{file} is no picture that can be opened; choose a GeoTIFF, or take a fresh copy of it.</source>
      <translation>{file} ist kein Bild, das sich öffnen lässt; wählen Sie ein GeoTIFF oder nehmen Sie eine frische Kopie.</translation>
    </message>
    <message>
      <source>A picture that was taken at a slant shows roofs beside the ground they stand on: at 40 degrees, a house of 6 m leans by 5 m. The network has to know how tilted the picture is. The off-nadir angle is the angle at the satellite between straight down (0) and the line of sight; it is not the elevation, and not the incidence angle, which is a few degrees larger. The azimuth is the direction from the satellite to the ground, clockwise from north: roofs lean towards it. Leave both empty to read them from the picture's metadata (Maxar, Airbus, STAC) or from a SpaceNet 4 file name. If they are nowhere to be found, a model that has learned to guesses the angle and says so; any other asks for it. 0 is never assumed. The azimuth may stay unknown.</source>
      <translation>Ein schräg aufgenommenes Bild zeigt Dächer neben dem Boden, auf dem sie stehen: bei 40 Grad neigt sich ein Haus von 6 m um 5 m. Das Netz muss wissen, wie schräg das Bild ist. Der Off-Nadir-Winkel ist der Winkel am Satelliten zwischen der Senkrechten (0) und der Blicklinie; er ist nicht die Elevation und nicht der Einfallswinkel, der einige Grad größer ist. Der Azimut ist die Richtung vom Satelliten zum Boden, im Uhrzeigersinn von Nord: Dächer neigen sich dorthin. Lassen Sie beide leer, um sie aus den Metadaten des Bildes (Maxar, Airbus, STAC) oder einem SpaceNet-4-Dateinamen zu lesen. Sind sie nirgends zu finden, schätzt ein Modell, das es gelernt hat, den Blickwinkel und sagt es; jedes andere fragt danach. 0 wird nie angenommen. Der Azimut darf unbekannt bleiben.</translation>
    </message>
    <message>
      <source>About the look angle</source>
      <translation>Über den Blickwinkel</translation>
    </message>
    <message>
      <source>Finds building footprints in a satellite picture and draws them on the ground, not at the roof. Works without a network connection; the picture stays as it is.</source>
      <translation>Findet Gebäudegrundrisse in einem Satellitenbild und zeichnet sie am Boden, nicht am Dach. Arbeitet ohne Netzverbindung; das Bild bleibt, wie es ist.</translation>
    </message>
    <message>
      <source>Install the engine</source>
      <translation>Engine installieren</translation>
    </message>
    <message>
      <source>Makes the Python environment that finds footprints; or removes it.</source>
      <translation>Legt die Python-Umgebung an, die Grundrisse findet; oder entfernt sie.</translation>
    </message>
    <message>
      <source>Makes a Python environment beside your QGIS profile and installs snet4 in it, from the wheel that came with this plugin. Its libraries (about 0.2 GB) come from your package index, as pip is configured, or from a folder of wheels. QGIS's own Python stays as it is. Where no Python 3.11 or newer is found, uv brings one. Cancelled or ended in the middle, it leaves the engine of before.</source>
      <translation>Legt neben Ihrem QGIS-Profil eine Python-Umgebung an und installiert snet4 darin, aus dem Wheel, das mit diesem Plugin kam. Seine Bibliotheken (etwa 0,2 GB) kommen aus Ihrem Paketindex, wie pip eingestellt ist, oder aus einem Ordner mit Wheels. Das Python von QGIS bleibt, wie es ist. Wo kein Python ab 3.11 zu finden ist, bringt uv eines. Abgebrochen oder mittendrin beendet, lässt es die Engine von vorher stehen.</translation>
    </message>
    <message>
      <source>The disk is full; an engine takes about 1 GB. Nothing was changed.</source>
      <translation>Die Festplatte ist voll; eine Engine braucht etwa 1 GB. Nichts wurde geändert.</translation>
    </message>
    <message>
      <source>The package index cannot be reached; see to the network or pip's configuration (proxy, index), or give a folder of wheels. Nothing was changed.</source>
      <translation>Der Paketindex ist nicht erreichbar; sehen Sie nach dem Netzwerk oder nach der Einstellung von pip (Proxy, Index), oder nennen Sie einen Ordner mit Wheels. Nichts wurde geändert.</translation>
    </message>
    <message>
      <source>This Python makes no environments; install python3-venv, or give another one.</source>
      <translation>Dieses Python legt keine Umgebungen an; installieren Sie python3-venv, oder nennen Sie ein anderes.</translation>
    </message>
    <message>
      <source>The engine was removed.</source>
      <translation>Die Engine wurde entfernt.</translation>
    </message>
    <message>
      <source>Where the libraries lie; with it, nothing is asked of a network.</source>
      <translation>Wo die Bibliotheken liegen; damit wird kein Netzwerk gefragt.</translation>
    </message>
    <message>
      <source>The interpreter that the environment is made of. 'uv': one that uv brings, as where none is found.</source>
      <translation>Der Interpreter, aus dem die Umgebung entsteht. „uv“: einer, den uv bringt, wie dort, wo keiner zu finden ist.</translation>
    </message>
    <message>
      <source>Adds PyTorch, about 3 GB to fetch; without a GPU it is of no use.</source>
      <translation>Nimmt PyTorch dazu, etwa 3 GB zum Laden; ohne GPU nützt es nichts.</translation>
    </message>
    <message>
      <source>Removes what this algorithm installed.</source>
      <translation>Entfernt, was dieser Algorithmus installiert hat.</translation>
    </message>
    <message>
      <source>No Python 3.11 or newer with venv and pip is to be found (looked at: {tried}); install one (on Debian and Ubuntu also python3-venv), or uv, and try again.</source>
      <translation>Es findet sich kein Python ab 3.11 mit venv und pip (angesehen: {tried}); installieren Sie eines (auf Debian und Ubuntu auch python3-venv) oder uv, und versuchen Sie es wieder.</translation>
    </message>
    <message>
      <source>No Python fits; uv is fetched, which brings one.</source>
      <translation>Kein Python passt; uv wird geholt, das eines bringt.</translation>
    </message>
    <message>
      <source>The GPU can be used.</source>
      <translation>Die GPU kann benutzt werden.</translation>
    </message>
    <message>
      <source>The engine could not be installed ({reason}); the log says more.</source>
      <translation>Die Engine ließ sich nicht installieren ({reason}); das Protokoll sagt mehr.</translation>
    </message>
    <message>
      <source>The engine is at work; wait until it is done, or cancel it, then remove it.</source>
      <translation>Die Engine arbeitet gerade; warten Sie, bis sie fertig ist, oder brechen Sie ab; dann entfernen Sie sie.</translation>
    </message>
    <message>
      <source>setup,update,remove,uninstall,python,pip,offline</source>
      <translation>einrichten,aktualisieren,entfernen,deinstallieren,python,pip,offline</translation>
    </message>
    <message>
      <source>Folder of wheels (empty: the network)</source>
      <translation>Ordner mit Wheels (leer: das Netzwerk)</translation>
    </message>
    <message>
      <source>Python 3.11 or newer (empty: looked for)</source>
      <translation>Python 3.11 oder neuer (leer: wird gesucht)</translation>
    </message>
    <message>
      <source>For an NVIDIA GPU, too</source>
      <translation>Auch für eine NVIDIA-GPU</translation>
    </message>
    <message>
      <source>Remove the engine instead</source>
      <translation>Stattdessen die Engine entfernen</translation>
    </message>
    <message>
      <source>The engine's interpreter</source>
      <translation>Interpreter der Engine</translation>
    </message>
    <message>
      <source>Whether there is an engine</source>
      <translation>Ob es eine Engine gibt</translation>
    </message>
    <message>
      <source>This plugin carries no wheel of snet4; install its zip once more.</source>
      <translation>Dieses Plugin enthält kein Wheel von snet4; installieren Sie sein ZIP noch einmal.</translation>
    </message>
    <message>
      <source>The folder {folder} has no wheel of {library} for this Python; add it.</source>
      <translation>Der Ordner {folder} hat kein Wheel von {library} für dieses Python; legen Sie es dazu.</translation>
    </message>
    <message>
      <source>The package index has no wheel of {library} for this Python; give another Python (3.11 to 3.13), or a folder of wheels.</source>
      <translation>Der Paketindex hat kein Wheel von {library} für dieses Python; nennen Sie ein anderes Python (3.11 bis 3.13) oder einen Ordner mit Wheels.</translation>
    </message>
    <message>
      <source>All files (*)</source>
      <translation>Alle Dateien (*)</translation>
    </message>
    <message>
      <source>The engine is installed: {}</source>
      <translation>Die Engine ist installiert: {}</translation>
    </message>
    <message>
      <source>Python: {}</source>
      <translation>Python: {}</translation>
    </message>
    <message>
      <source>QGIS goes on with {python}, named by the {origin}; empty that to use the new engine.</source>
      <translation>QGIS nimmt weiterhin {python}, genannt von: {origin}; leeren Sie das, um die neue Engine zu nehmen.</translation>
    </message>
    <message>
      <source>{folder} cannot be written ({reason}); free space or rights there.</source>
      <translation>{folder} kann nicht geschrieben werden ({reason}); schaffen Sie dort Platz oder Rechte.</translation>
    </message>
    <message>
      <source>Footprints from stored maps</source>
      <translation>Grundrisse aus gespeicherten Karten</translation>
    </message>
    <message>
      <source>Turns probability maps, as 'Extract building footprints' keeps them, into the same footprints; or into others, with another threshold, minimum area or tolerance. The network is not needed again. Maps from elsewhere will do: one band (or two, the second the walls between houses), 0 to 255 or 0 to 1.</source>
      <translation>Macht aus Wahrscheinlichkeitskarten, wie 'Gebäudegrundrisse finden' sie behält, dieselben Grundrisse; oder andere, mit anderer Schwelle, Mindestfläche oder Toleranz. Das Netz wird nicht noch einmal gebraucht. Auch andere Karten gehen: ein Kanal (oder zwei, der zweite die Wände zwischen Häusern), 0 bis 255 oder 0 bis 1.</translation>
    </message>
    <message>
      <source>Tries another threshold on maps that were kept, in seconds.</source>
      <translation>Probiert in Sekunden eine andere Schwelle auf gespeicherten Karten.</translation>
    </message>
    <message>
      <source>The file that 'Extract building footprints' kept under SAVE_MAPS.</source>
      <translation>Die Datei, die 'Gebäudegrundrisse finden' unter SAVE_MAPS behielt.</translation>
    </message>
    <message>
      <source>The layer of footprints, in the maps' CRS.</source>
      <translation>Der Layer der Grundrisse, im KBS der Karten.</translation>
    </message>
    <message>
      <source>buildings,polygonize,vectorize,threshold,probability</source>
      <translation>Gebäude,polygonisieren,vektorisieren,Schwelle,Wahrscheinlichkeit</translation>
    </message>
    <message>
      <source>Off-nadir angle, degrees (empty: as the maps say)</source>
      <translation>Off-Nadir-Winkel, Grad (leer: wie die Karten sagen)</translation>
    </message>
    <message>
      <source>Azimuth, degrees (empty: as the maps say)</source>
      <translation>Azimut, Grad (leer: wie die Karten sagen)</translation>
    </message>
    <message>
      <source>Written into the layer; plays no part in the outlines.</source>
      <translation>Wird in den Layer geschrieben; für die Umrisse ohne Bedeutung.</translation>
    </message>
    <message>
      <source>The layer {name} is no file on this computer; save it as a GeoTIFF first.</source>
      <translation>Der Layer {name} ist keine Datei auf diesem Rechner; speichern Sie ihn zuerst als GeoTIFF.</translation>
    </message>
    <message>
      <source>Score footprints</source>
      <translation>Grundrisse bewerten</translation>
    </message>
    <message>
      <source>Compares two layers of polygons, or two SpaceNet tables (.csv). A footprint is right when it overlaps a true building that no better one took by more than half (IoU above 0.5). Precision is the share of footprints that are right, recall the share of true buildings that were found, F1 their harmonic mean.</source>
      <translation>Vergleicht zwei Polygonlayer oder zwei SpaceNet-Tabellen (.csv). Ein Grundriss ist richtig, wenn er ein wahres Gebäude, das kein besserer nahm, zu mehr als der Hälfte deckt (IoU über 0,5). Genauigkeit ist der Anteil richtiger Grundrisse, Trefferquote der Anteil gefundener wahrer Gebäude, F1 ihr harmonisches Mittel.</translation>
    </message>
    <message>
      <source>all</source>
      <translation>alle</translation>
    </message>
    <message>
      <source>F1</source>
      <translation>F1</translation>
    </message>
    <message>
      <source>precision</source>
      <translation>Genauigk.</translation>
    </message>
    <message>
      <source>recall</source>
      <translation>Treffer</translation>
    </message>
    <message>
      <source>right</source>
      <translation>richtig</translation>
    </message>
    <message>
      <source>wrong</source>
      <translation>falsch</translation>
    </message>
    <message>
      <source>missed</source>
      <translation>verpasst</translation>
    </message>
    <message>
      <source>Compares footprints with the truth, as the SpaceNet 4 challenge does.</source>
      <translation>Vergleicht Grundrisse mit der Wahrheit, wie der SpaceNet-4-Wettbewerb.</translation>
    </message>
    <message>
      <source>Polygons, or a SpaceNet table; a field 'confidence' decides who chooses first.</source>
      <translation>Polygone oder eine SpaceNet-Tabelle; ein Feld 'confidence' entscheidet, wer zuerst wählt.</translation>
    </message>
    <message>
      <source>Polygons of the same ground, or a SpaceNet table of the same images; a field 'height_m' is compared with the heights that were found.</source>
      <translation>Polygone desselben Bodens, oder eine SpaceNet-Tabelle derselben Bilder; ein Feld 'height_m' wird mit den gefundenen Höhen verglichen.</translation>
    </message>
    <message>
      <source>buildings,accuracy,F1,precision,recall,IoU,validation</source>
      <translation>Gebäude,Güte,F1,Genauigkeit,Trefferquote,IoU,Prüfung</translation>
    </message>
    <message>
      <source>Footprints that were found</source>
      <translation>Gefundene Grundrisse</translation>
    </message>
    <message>
      <source>True footprints</source>
      <translation>Wahre Grundrisse</translation>
    </message>
    <message>
      <source>F1, 0 to 1</source>
      <translation>F1, 0 bis 1</translation>
    </message>
    <message>
      <source>Precision, 0 to 1</source>
      <translation>Genauigkeit, 0 bis 1</translation>
    </message>
    <message>
      <source>Recall, 0 to 1</source>
      <translation>Trefferquote, 0 bis 1</translation>
    </message>
    <message>
      <source>Right</source>
      <translation>Richtig</translation>
    </message>
    <message>
      <source>Wrong</source>
      <translation>Falsch</translation>
    </message>
    <message>
      <source>Missed</source>
      <translation>Verpasst</translation>
    </message>
    <message>
      <source>Mean F1 of the look categories (tables only)</source>
      <translation>Mittleres F1 der Blickklassen (nur Tabellen)</translation>
    </message>
    <message>
      <source>Median error of the heights, m (where both have them)</source>
      <translation>Medianer Fehler der Höhen, m (wo beide welche haben)</translation>
    </message>
    <message>
      <source>Heights: median error {error:.2f} m, of {count} buildings.</source>
      <translation>Höhen: medianer Fehler {error:.2f} m, bei {count} Gebäuden.</translation>
    </message>
    <message>
      <source>Straight walls and right angles where the picture supports them. Left out or 2: what the model's card says; 1 or true: yes; 0 or false: no.</source>
      <translation>Gerade Wände und rechte Winkel, wo das Bild sie hergibt. Weggelassen oder 2: wie die Karte des Modells sagt; 1 oder true: ja; 0 oder false: nein.</translation>
    </message>
    <message>
      <source>The layer of roofs where the picture shows them, with the numbers of their footprints; made only by models that give roofs.</source>
      <translation>Der Layer der Dächer, wo das Bild sie zeigt, mit den Nummern ihrer Grundrisse; nur Modelle, die Dächer liefern, machen ihn.</translation>
    </message>
    <message>
      <source>Threshold, 0 to 1 (empty: the model's)</source>
      <translation>Schwelle, 0 bis 1 (leer: die des Modells)</translation>
    </message>
    <message>
      <source>Probability from which a pixel is building. Lower finds more, and more that is none. Empty: what the model's card says for this look angle.</source>
      <translation>Wahrscheinlichkeit, ab der ein Pixel Gebäude ist. Niedriger findet mehr, auch mehr, was keines ist. Leer: was die Karte des Modells für diesen Blickwinkel sagt.</translation>
    </message>
    <message>
      <source>Minimum area, m² (empty: the model's)</source>
      <translation>Mindestfläche, m² (leer: die des Modells)</translation>
    </message>
    <message>
      <source>Smaller footprints are dropped; true ground area in square metres.</source>
      <translation>Kleinere Grundrisse entfallen; wahre Bodenfläche in Quadratmetern.</translation>
    </message>
    <message>
      <source>Minimum confidence, 0 to 1 (empty: the model's)</source>
      <translation>Mindestkonfidenz, 0 bis 1 (leer: die des Modells)</translation>
    </message>
    <message>
      <source>Footprints that are less likely right than this are dropped; 0 keeps all. Empty: what the model's card says for this look angle.</source>
      <translation>Grundrisse, die mit geringerer Wahrscheinlichkeit stimmen, entfallen; 0 behält alle. Leer: was die Karte des Modells für diesen Blickwinkel sagt.</translation>
    </message>
    <message>
      <source>Simplify within, m (empty: the model's)</source>
      <translation>Vereinfachen bis, m (leer: wie das Modell)</translation>
    </message>
    <message>
      <source>How far a wall may lie from the edge of the mask, in metres; 0 keeps every pixel.</source>
      <translation>Wie weit eine Wand vom Rand der Maske liegen darf, in Metern; 0 behält jedes Pixel.</translation>
    </message>
    <message>
      <source>Minimum height, m (empty: all heights)</source>
      <translation>Mindesthöhe, m (leer: alle Höhen)</translation>
    </message>
    <message>
      <source>Lower buildings are dropped, in metres; those of unknown height stay. Matters for models that give heights.</source>
      <translation>Niedrigere Gebäude fallen weg, in Metern; solche unbekannter Höhe bleiben. Wirkt bei Modellen, die Höhen liefern.</translation>
    </message>
    <message>
      <source>Roofs</source>
      <translation>Dächer</translation>
    </message>
    <message>
      <source>The threshold is {}; it is a probability between 0 and 1.</source>
      <translation>Die Schwelle ist {}; sie ist eine Wahrscheinlichkeit zwischen 0 und 1.</translation>
    </message>
    <message>
      <source>The minimum area is {}; it is in square metres, 0 or more.</source>
      <translation>Die Mindestfläche ist {}; sie steht in Quadratmetern, 0 oder mehr.</translation>
    </message>
    <message>
      <source>The minimum confidence is {}; it is between 0 and 1.</source>
      <translation>Die Mindestkonfidenz ist {}; sie liegt zwischen 0 und 1.</translation>
    </message>
    <message>
      <source>The tolerance is {}; it is in metres, 0 or more.</source>
      <translation>Die Toleranz ist {}; sie steht in Metern, 0 oder mehr.</translation>
    </message>
    <message>
      <source>The minimum height is {}; it is in metres, 0 or more.</source>
      <translation>Die Mindesthöhe ist {}; sie steht in Metern, 0 oder mehr.</translation>
    </message>
    <message>
      <source>The off-nadir angle is {}; it is between 0 and 80 degrees.</source>
      <translation>Der Off-Nadir-Winkel ist {}; er liegt zwischen 0 und 80 Grad.</translation>
    </message>
    <message>
      <source>The azimuth is {}; it is between 0 and 360 degrees.</source>
      <translation>Der Azimut ist {}; er liegt zwischen 0 und 360 Grad.</translation>
    </message>
    <message>
      <source>no</source>
      <translation>nein</translation>
    </message>
    <message>
      <source>yes</source>
      <translation>ja</translation>
    </message>
    <message>
      <source>as the model says</source>
      <translation>wie das Modell sagt</translation>
    </message>
    <message>
      <source>blue, green, red, infrared</source>
      <translation>Blau, Grün, Rot, Infrarot</translation>
    </message>
    <message>
      <source>red, green, blue, infrared</source>
      <translation>Rot, Grün, Blau, Infrarot</translation>
    </message>
    <message>
      <source>red, green, blue</source>
      <translation>Rot, Grün, Blau</translation>
    </message>
    <message>
      <source>one band for all colours</source>
      <translation>ein Band für alle Farben</translation>
    </message>
    <message>
      <source>blue, green, red</source>
      <translation>Blau, Grün, Rot</translation>
    </message>
    <message>
      <source>the eight bands of WorldView</source>
      <translation>die acht Bänder von WorldView</translation>
    </message>
    <message>
      <source>A {ending} file holds no polygons with fields; name a .gpkg in place of {file}.</source>
      <translation>Eine {ending}-Datei nimmt keine Polygone mit Feldern auf; nennen Sie eine .gpkg statt {file}.</translation>
    </message>
    <message>
      <source>{file} cannot be written: there is no folder {folder}; create it first.</source>
      <translation>{file} kann nicht geschrieben werden: es gibt keinen Ordner {folder}; legen Sie ihn zuerst an.</translation>
    </message>
    <message>
      <source>{file} is a folder; name a file in it.</source>
      <translation>{file} ist ein Ordner; nennen Sie eine Datei darin.</translation>
    </message>
    <message>
      <source>{file} is write-protected; choose another name.</source>
      <translation>{file} ist schreibgeschützt; wählen Sie einen anderen Namen.</translation>
    </message>
    <message>
      <source>{file} holds the layer {layer}, which the run reads; choose another place for {output}.</source>
      <translation>{file} enthält den Layer {layer}, den der Lauf liest; wählen Sie einen anderen Ort für {output}.</translation>
    </message>
    <message>
      <source>{file} cannot be written ({reason}); choose a folder that you may write to.</source>
      <translation>{file} kann nicht geschrieben werden ({reason}); wählen Sie einen Ordner, in den Sie schreiben dürfen.</translation>
    </message>
    <message>
      <source>The engine's Python {python} cannot be started; name another one in Settings &gt; Options &gt; Processing &gt; Providers &gt; snet4, or make one with: {command}</source>
      <translation>Das Python der Engine {python} lässt sich nicht starten; nennen Sie ein anderes unter Einstellungen &gt; Optionen &gt; Verarbeitung &gt; Datenanbieter &gt; snet4, oder machen Sie eines mit: {command}</translation>
    </message>
    <message>
      <source>The engine (snet4 {engine}) does not speak the language of the plugin ({plugin}); run 'Install the engine', which installs one of the same version.</source>
      <translation>Die Engine (snet4 {engine}) spricht nicht die Sprache des Plugins ({plugin}); starten Sie „Engine installieren“, das eine derselben Version installiert.</translation>
    </message>
    <message>
      <source>The engine was ended by the system, most likely because memory ran out; close other programs, or choose a smaller extent.</source>
      <translation>Die Engine wurde vom System beendet, wohl weil der Speicher nicht reichte; schließen Sie andere Programme oder wählen Sie einen kleineren Ausschnitt.</translation>
    </message>
    <message>
      <source>Stopped on request; nothing was written.</source>
      <translation>Auf Wunsch angehalten; es wurde nichts geschrieben.</translation>
    </message>
    <message>
      <source>{} cannot be started.</source>
      <translation>{} lässt sich nicht starten.</translation>
    </message>
    <message>
      <source>The engine crashed ({signal}); run 'Check the snet4 engine' and report what it says.</source>
      <translation>Die Engine stürzte ab ({signal}); starten Sie 'snet4-Engine prüfen' und melden Sie, was es sagt.</translation>
    </message>
    <message>
      <source>{python} has no snet4 in it; install it with: {command}</source>
      <translation>In {python} ist kein snet4; installieren Sie es mit: {command}</translation>
    </message>
    <message>
      <source>The engine ended without an answer (code {code}): {last}</source>
      <translation>Die Engine endete ohne Antwort (Code {code}): {last}</translation>
    </message>
    <message>
      <source>Processing setting</source>
      <translation>Verarbeitungseinstellung</translation>
    </message>
    <message>
      <source>correct or empty it in Settings &gt; Options &gt; Processing &gt; Providers &gt; snet4.</source>
      <translation>berichtigen oder leeren Sie sie unter Einstellungen &gt; Optionen &gt; Verarbeitung &gt; Anbieter &gt; snet4.</translation>
    </message>
    <message>
      <source>correct or unset it where QGIS is started.</source>
      <translation>berichtigen oder entfernen Sie sie dort, wo QGIS gestartet wird.</translation>
    </message>
    <message>
      <source>'Install the engine'</source>
      <translation>„Engine installieren“</translation>
    </message>
    <message>
      <source>The snet4 engine is not installed; run 'Install the engine' in the toolbox, or make it once with: {command} (or name its Python in Settings &gt; Options &gt; Processing &gt; Providers &gt; snet4).</source>
      <translation>Die Engine von snet4 ist nicht installiert; starten Sie „Engine installieren“ in der Werkzeugkiste, oder legen Sie sie einmal an mit: {command} (oder nennen Sie ihr Python unter Einstellungen &gt; Optionen &gt; Verarbeitung &gt; Anbieter &gt; snet4).</translation>
    </message>
    <message>
      <source>environment variable {}</source>
      <translation>Umgebungsvariable {}</translation>
    </message>
    <message>
      <source>The engine is snet4 {engine}, the plugin {plugin}; run 'Install the engine', which installs one of the same version.</source>
      <translation>Die Engine ist snet4 {engine}, das Plugin {plugin}; starten Sie „Engine installieren“, das eine derselben Version installiert.</translation>
    </message>
    <message>
      <source>{path}, named by the {origin}, is no Python interpreter; {cure}</source>
      <translation>{path}, genannt von: {origin}, ist kein Python-Interpreter; {cure}</translation>
    </message>
    <message>
      <source>The layer {name} has no CRS; give it its own in Layer &gt; Set Layer CRS.</source>
      <translation>Der Layer {name} hat kein KBS; geben Sie ihm seines unter Layer &gt; KBS von Layern setzen.</translation>
    </message>
    <message>
      <source>The layer {name} comes from a service, which has no end; choose where to search.</source>
      <translation>Der Layer {name} kommt von einem Dienst, der kein Ende hat; wählen Sie, wo gesucht wird.</translation>
    </message>
    <message>
      <source>The chosen area lies outside the layer {name}; choose another.</source>
      <translation>Das gewählte Gebiet liegt außerhalb des Layers {name}; wählen Sie ein anderes.</translation>
    </message>
    <message>
      <source>The layer {name} would have to be written with {mpix:.0f} megapixels, and {most:.0f} are the most; choose a smaller area, or save it as a GeoTIFF first.</source>
      <translation>Der Layer {name} müsste mit {mpix:.0f} Megapixeln geschrieben werden, und höchstens {most:.0f} sind möglich; wählen Sie ein kleineres Gebiet, oder speichern Sie ihn zuerst als GeoTIFF.</translation>
    </message>
    <message>
      <source>QGIS writes the layer {name} to a temporary GeoTIFF of {cols} x {rows} pixels, which is removed afterwards.</source>
      <translation>QGIS schreibt den Layer {name} in ein vorübergehendes GeoTIFF von {cols} x {rows} Pixeln, das danach gelöscht wird.</translation>
    </message>
    <message>
      <source>QGIS cannot write the layer {name} to a GeoTIFF ({reason}); save it as one by hand, and choose that.</source>
      <translation>QGIS kann den Layer {name} nicht in ein GeoTIFF schreiben ({reason}); speichern Sie ihn von Hand als eines, und wählen Sie das.</translation>
    </message>
    <message>
      <source>The layer {name} was not read without errors: {reason}</source>
      <translation>Der Layer {name} wurde nicht ohne Fehler gelesen: {reason}</translation>
    </message>
    <message>
      <source>Install the engine: tick, then OK</source>
      <translation>Engine installieren: ankreuzen, dann OK</translation>
    </message>
    <message>
      <source>The engine is being installed or removed by another QGIS; try again when it is done.</source>
      <translation>Ein anderes QGIS installiert oder entfernt die Engine gerade; versuchen Sie es wieder, wenn es fertig ist.</translation>
    </message>
    <message>
      <source>N</source>
      <translation>N</translation>
    </message>
    <message>
      <source>{angle:g}° off nadir, azimuth {azimuth:g}°
a roof of 10 m leans {length:.1f} m</source>
      <translation>{angle:g}° vom Nadir, Azimut {azimuth:g}°
ein Dach in 10 m Höhe neigt sich {length:.1f} m</translation>
    </message>
    <message>
      <source>Drawn on the map: azimuth {azimuth:g}°.</source>
      <translation>Auf der Karte gezeichnet: Azimut {azimuth:g}°.</translation>
    </message>
    <message>
      <source>Drawn on the map: azimuth {azimuth:g}°, {angle:g}° off nadir.</source>
      <translation>Auf der Karte gezeichnet: Azimut {azimuth:g}°, {angle:g}° vom Nadir.</translation>
    </message>
    <message>
      <source>Kept settings: threshold {threshold:g}, at least {area:g} m², confidence {sure:g} or more, simplified within {metres:g} m.</source>
      <translation>Gemerkte Einstellungen: Schwelle {threshold:g}, mindestens {area:g} m², Sicherheit {sure:g} oder mehr, vereinfacht bis {metres:g} m.</translation>
    </message>
    <message>
      <source>At least {height:g} m high.</source>
      <translation>Mindestens {height:g} m hoch.</translation>
    </message>
    <message>
      <source>The engine that finds footprints is missing, or of another version.</source>
      <translation>Die Engine, die Grundrisse findet, fehlt oder hat eine andere Version.</translation>
    </message>
    <message>
      <source>Number</source>
      <translation>Nummer</translation>
    </message>
    <message>
      <source>Picture</source>
      <translation>Bild</translation>
    </message>
    <message>
      <source>Confidence, 0 to 1</source>
      <translation>Sicherheit, 0 bis 1</translation>
    </message>
    <message>
      <source>Area, m²</source>
      <translation>Fläche, m²</translation>
    </message>
    <message>
      <source>Off-nadir angle, degrees</source>
      <translation>Winkel zum Nadir, Grad</translation>
    </message>
    <message>
      <source>Azimuth, degrees</source>
      <translation>Azimut, Grad</translation>
    </message>
    <message>
      <source>Look read from</source>
      <translation>Blick gelesen aus</translation>
    </message>
    <message>
      <source>Height, m</source>
      <translation>Höhe, m</translation>
    </message>
    <message>
      <source>Height from</source>
      <translation>Höhe aus</translation>
    </message>
    <message>
      <source>Building footprints that a network found in {scene}; made by {versions}.</source>
      <translation>Gebäudegrundrisse, die ein Netz in {scene} gefunden hat; gemacht von {versions}.</translation>
    </message>
    <message>
      <source>Model: {}</source>
      <translation>Modell: {}</translation>
    </message>
    <message>
      <source>building footprints from off-nadir pictures</source>
      <translation>Gebäudegrundrisse aus schrägen Bildern</translation>
    </message>
    <message>
      <source>Python interpreter of the engine (empty: SNET4_PYTHON, then the one that was installed here, then ~/.snet4)</source>
      <translation>Python-Interpreter der Engine (leer: SNET4_PYTHON, dann die hier installierte, dann ~/.snet4)</translation>
    </message>
    <message>
      <source>Bright outline with a dark casing</source>
      <translation>Heller Umriss mit dunklem Rand</translation>
    </message>
    <message>
      <source>The engine's result cannot be opened; is the disk for temporary files full?</source>
      <translation>Das Ergebnis der Engine lässt sich nicht öffnen; ist der Platz für temporäre Dateien voll?</translation>
    </message>
    <message>
      <source>The model gives no roofs, so there is no layer of them.</source>
      <translation>Das Modell liefert keine Dächer, also gibt es keinen Layer davon.</translation>
    </message>
    <message>
      <source>Thin blue outline with a dark casing</source>
      <translation>Dünner blauer Umriss mit dunklem Rand</translation>
    </message>
    <message>
      <source>Bright outline with a dark casing; blocks of the height in 3D</source>
      <translation>Heller Umriss mit dunklem Rand; Blöcke der Höhe in 3D</translation>
    </message>
    <message>
      <source>roofs</source>
      <translation>Dächer</translation>
    </message>
    <message>
      <source>footprints</source>
      <translation>Grundrisse</translation>
    </message>
    <message>
      <source>Try here: only what the map shows, with maps kept to be adjusted</source>
      <translation>Hier versuchen: nur was die Karte zeigt, mit Wahrscheinlichkeitskarten zum Anpassen</translation>
    </message>
    <message>
      <source>Read its bands as: {}</source>
      <translation>Seine Bänder lesen als: {}</translation>
    </message>
    <message>
      <source>Looking at the picture…</source>
      <translation>Das Bild wird angesehen …</translation>
    </message>
    <message>
      <source>Take it</source>
      <translation>Übernehmen</translation>
    </message>
    <message>
      <source>{:.1f} h</source>
      <translation>{:.1f} h</translation>
    </message>
    <message>
      <source>{} s</source>
      <translation>{} s</translation>
    </message>
    <message>
      <source>{} min</source>
      <translation>{} min</translation>
    </message>
    <message>
      <source>Adjust the footprints…</source>
      <translation>Grundrisse anpassen…</translation>
    </message>
    <message>
      <source>Show how roofs lean</source>
      <translation>Zeigen, wohin sich Dächer neigen</translation>
    </message>
    <message>
      <source>Read the look off a building</source>
      <translation>Blickrichtung an einem Gebäude ablesen</translation>
    </message>
    <message>
      <source>Press on a corner of the roof and drag to its foot.</source>
      <translation>Auf eine Ecke des Dachs drücken und zu ihrem Fuß ziehen.</translation>
    </message>
    <message>
      <source>Choose a layer of footprints whose probability maps were kept (SAVE_MAPS) and are still there.</source>
      <translation>Einen Layer von Grundrissen wählen, dessen Wahrscheinlichkeitskarten aufbewahrt wurden (SAVE_MAPS) und noch da sind.</translation>
    </message>
    <message>
      <source>The next run's dialog offers it.</source>
      <translation>Der Dialog des nächsten Laufs bietet es an.</translation>
    </message>
    <message>
      <source>{}: other settings can be tried on the kept maps.</source>
      <translation>{}: Andere Einstellungen lassen sich auf den aufbewahrten Karten versuchen.</translation>
    </message>
    <message>
      <source>Roofs lean {azimuth:.0f}°, this one by {length:.1f} m. Its height, m (0: unknown)</source>
      <translation>Dächer neigen sich nach {azimuth:.0f}°, dieses um {length:.1f} m. Seine Höhe, m (0: unbekannt)</translation>
    </message>
    <message>
      <source>The layer {name} has no polygons, or none of them is selected; choose another.</source>
      <translation>Der Layer {name} hat keine Polygone, oder keines ist ausgewählt; wählen Sie einen anderen.</translation>
    </message>
    <message>
      <source>The layer {name} cannot be handed to the engine ({reason}).</source>
      <translation>Der Layer {name} kann der Engine nicht übergeben werden ({reason}).</translation>
    </message>
  </context>
</TS>
